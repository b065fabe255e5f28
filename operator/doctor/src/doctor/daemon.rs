//! The daemon that serves a device's channels, `vgpud link`, and what it says of the machine.

use std::time::{Duration, Instant};

use serde::Deserialize;
use vgpu_socket::{LineError, LineStream};

use super::arguments::DeviceArgument;
use super::process::Process;
use super::unix_sockets::is_same;

/// The longest answer, in bytes.
const LONGEST: usize = 64 << 20;

/// A device with features, and where its channels are served.
#[derive(Debug)]
pub(super) struct Daemon {
    /// The socket that the device's process connects to; `None` where its arguments name none.
    pub(super) link: Option<String>,
    /// The machine's UUID there.
    pub(super) machine: Option<String>,
    /// The daemon that has this socket, where it runs.
    pub(super) process: Option<Process>,
}

impl Daemon {
    /// Of a machine whose device has features; `None` for any other. `emulators` are the processes that emulate its devices,
    /// `devices` those of QEMU's arguments.
    pub(super) fn of(
        emulators: &[Process],
        devices: Vec<DeviceArgument>,
        processes: &[Process],
    ) -> Option<Self> {
        let (link, machine) = served(emulators).or_else(|| built_in(devices))?;
        let is_its = |it: &&Process| {
            it.name() == "vgpud"
                && it.words.get(1).is_some_and(|word| word == "link")
                && matches!((&link, it.value("--socket")), (Some(one), Some(other)) if is_same(one, other))
        };
        Some(Self {
            process: processes.iter().find(is_its).cloned(),
            link,
            machine,
        })
    }
}

type Named = (Option<String>, Option<String>);

/// What a vfio-user server was told.
fn served(emulators: &[Process]) -> Option<Named> {
    let has = |it: &&Process| it.values("--device").any(has_features);
    let server = emulators.iter().find(has)?;
    let value = |option| server.value(option).map(str::to_owned);
    Some((value("--link"), value("--machine")))
}

fn has_features(properties: &str) -> bool {
    properties.split(',').any(|it| it == "features=on")
}

/// What a QEMU was told that has the device itself.
fn built_in(devices: Vec<DeviceArgument>) -> Option<Named> {
    let device = devices.into_iter().find(|device| device.features)?;
    Some((device.link, device.machine))
}

/// What the daemon says of a machine (vgpud: `MachineStatus`).
#[derive(Debug, Deserialize)]
pub(super) struct Standing {
    machine: String,
    pub(super) quarantined: bool,
    pub(super) memory_used: u64,
    pub(super) memory_quota: Option<u64>,
    /// 0 where it does not say.
    #[serde(default)]
    pub(super) sessions_most: u64,
    pub(super) sessions: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Status { machines: Vec<Standing> },
}

/// Asks at a daemon's control socket; `None` where it does not know the machine.
pub(super) fn ask(
    control: &std::path::Path,
    machine: &str,
    limit: Duration,
) -> Result<Option<Standing>, String> {
    let told = |error: LineError| match error {
        LineError::Connect(error) => error.to_string(),
        LineError::TimedOut => "no answer in time".to_owned(),
        LineError::Closed => "the connection was closed".to_owned(),
        LineError::TooLong => "an answer without end".to_owned(),
    };
    let mut stream = LineStream::connect(control, limit).map_err(told)?;
    stream.send(b"{\"do\":\"status\"}\n").map_err(told)?;
    let answer = stream.receive(Instant::now() + limit, LONGEST);
    let answer = serde_json::from_slice(&answer.map_err(told)?);
    let Answer::Status { machines } = answer.map_err(|_| "no status".to_owned())?;
    let is_it = |it: &Standing| it.machine.eq_ignore_ascii_case(machine);
    Ok(machines.into_iter().find(is_it))
}
