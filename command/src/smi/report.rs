//! What is shown: `-` is what is not known.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::driver::Driver;
use super::processes::{self, Process};
use super::session::Told;
use crate::table::{self, bytes};

/// A device as this machine knows it. What is not known is null.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    device: Option<String>,
    uuid: Option<String>,
    node: Option<&'static str>,
    address: Option<String>,
    abi: Option<String>,
    host: Option<&'static str>,
    memory: Option<u64>,
    memory_used: Option<u64>,
    /// No host tells it.
    utilisation: Option<f64>,
    processes: Option<Vec<Process>>,
    /// Whether there can be no others.
    processes_all: Option<bool>,
}

impl Report {
    pub(super) fn new(driver: Option<&Driver>, told: Option<Told>) -> Self {
        let using = driver.map(|it| processes::with(Path::new(it.node)));
        let (processes, processes_all) = using.unzip();
        Self {
            uuid: told.as_ref().map(|it| format!("GPU-{}", it.uuid)),
            memory: told.as_ref().map(|it| it.memory),
            memory_used: told.as_ref().map(|it| it.memory_used),
            device: told.map(|it| it.name),
            node: driver.map(|it| it.node),
            address: driver.and_then(|it| it.address.clone()),
            abi: driver
                .and_then(|it| it.abi)
                .map(|(major, minor)| format!("{major}.{minor}")),
            host: driver.and_then(|it| it.host),
            utilisation: None,
            processes,
            processes_all,
        }
    }

    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let or = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let size = |size: Option<u64>| size.map_or("-".to_owned(), bytes);
        let (used, memory) = (size(self.memory_used), size(self.memory));
        let rows = [
            ("device", or(self.device.as_deref())),
            ("uuid", or(self.uuid.as_deref())),
            ("node", or(self.node)),
            ("address", or(self.address.as_deref())),
            ("driver ABI", or(self.abi.as_deref())),
            ("host", or(self.host)),
            ("memory", format!("{used} of {memory}")),
            ("utilisation", "-".to_owned()),
        ];
        for (name, value) in rows {
            writeln!(out, "{name:<12}  {value}")?;
        }
        let Some(processes) = &self.processes else {
            return writeln!(out, "{:<12}  -", "processes");
        };
        writeln!(out)?;
        let columns = [("process", false), ("user", false), ("command", true)];
        let rows = processes.iter().map(|it| {
            let (process, user) = (it.process.to_string(), it.user.to_string());
            vec![process, user, it.command.clone()]
        });
        table::write(out, &columns, &rows.collect::<Vec<_>>())?;
        match self.processes_all {
            Some(true) => Ok(()),
            _ => writeln!(
                out,
                "      -     -  those of other users, which only root sees"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn shown(report: &Report) -> String {
        let mut out = Vec::new();
        report.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let text = shown(&Report::new(None, None));
        assert_eq!(text.lines().count(), 9);
        for line in text.lines() {
            let (_, value) = line.split_at(14);
            assert!(["-", "- of -"].contains(&value), "{line}");
        }
    }

    #[test]
    fn a_device_is_shown_with_who_uses_it() {
        let told = Told {
            name: "vgpu processors".into(),
            uuid: Uuid::from_bytes(*b"vgpu processors."),
            memory: 256 << 20,
            memory_used: 3 << 19,
        };
        let mut report = Report::new(None, Some(told));
        report.processes = Some(vec![Process {
            process: 123,
            user: 0,
            command: "python3 train.py".into(),
        }]);
        let text = shown(&report);
        for line in [
            "device        vgpu processors\n",
            "uuid          GPU-76677075-2070-726f-6365-73736f72732e\n",
            "memory        1.5 MiB of 256.0 MiB\n",
            "process  user  command\n    123     0  python3 train.py\n",
            "      -     -  those of other users",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        report.processes_all = Some(true);
        assert!(!shown(&report).contains("other users"));
    }
}
