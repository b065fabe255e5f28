//! What a server answered, as JSON and for people.

use std::io::{self, Write};

use serde::Serialize;
use vgpu_control::protocol::{Counters, Greeting, Info, Registers};
use vgpu_device::Register;
use vgpu_terminal::Printable;

/// The JSON form is the server's result.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Registers(Registers),
    Counters(Counters),
    Info {
        #[serde(flatten)]
        info: Info,
        #[serde(skip)]
        server: Greeting,
    },
    /// The server did what it was told, and has nothing to tell.
    Done {},
}

impl Answer {
    /// Writes a line for each value; none where there is nothing to tell.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let lines = match self {
            Self::Registers(registers) => register_lines(registers),
            Self::Counters(counters) => counter_lines(counters),
            Self::Info { info, server } => info_lines(info, server),
            Self::Done {} => Vec::new(),
        };
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in lines {
            writeln!(out, "{name:width$}  {value}")?;
        }
        Ok(())
    }
}

type Line = (&'static str, String);

fn register_lines(registers: &Registers) -> Vec<Line> {
    let line = |register: Register| {
        // An emulator that runs since before an upgrade knows fewer.
        let value = match registers.get(register) {
            Some(value) => format!("0x{value:08x}"),
            None => "absent".into(),
        };
        (register.name(), value)
    };
    Register::ALL.map(line).into()
}

fn counter_lines(counters: &Counters) -> Vec<Line> {
    // Each by its name: a new one has to be shown too.
    let &Counters {
        config_reads,
        config_writes,
        bar0_reads,
        bar0_writes,
        refused_reads,
        refused_writes,
        resets,
        connections,
    } = counters;
    let lines = [
        ("config reads", config_reads),
        ("config writes", config_writes),
        ("BAR0 reads", bar0_reads),
        ("BAR0 writes", bar0_writes),
        ("refused reads", refused_reads),
        ("refused writes", refused_writes),
        ("resets", resets),
        ("connections", connections),
    ];
    let width = lines.map(|(_, count)| count.to_string().len());
    let width = width.into_iter().max().unwrap_or(0);
    lines
        .map(|(name, count)| (name, format!("{count:width$}")))
        .into()
}

fn info_lines(info: &Info, server: &Greeting) -> Vec<Line> {
    let either = |on, yes: &str, no: &str| String::from(if on { yes } else { no });
    let ids = |vendor: u16, device: u16| format!("{vendor:04x}:{device:04x}");
    vec![
        ("attachment", Printable(&server.attachment).to_string()),
        ("version", Printable(&server.version).to_string()),
        ("process", server.pid.to_string()),
        ("devices", server.devices.to_string()),
        ("up for", format!("{} s", info.uptime_seconds)),
        ("VM connected", either(info.connected, "yes", "no")),
        ("access trace", either(info.trace_access, "on", "off")),
        ("ids", ids(info.vendor_id, info.device_id)),
        (
            "subsystem ids",
            ids(info.subsystem_vendor_id, info.subsystem_id),
        ),
        ("revision", info.revision.to_string()),
        ("BAR0 size", format!("{} bytes", info.bar0_size)),
    ]
}
