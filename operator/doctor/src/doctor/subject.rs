//! What is examined on a host: a VM, and who has to do with it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use vgpu_checklist::{Mend, Trouble};
pub(super) use vgpu_control::Attachment;
use vgpu_control::protocol::{Greeting, Info};
use vgpu_control::{Client, ClientError};
use vgpu_terminal::shell::this_command;
use xen_dm::DomainId;

use super::arguments::{self, OWN, VFIO_USER};
use super::daemon::Daemon;
use super::function::Function;
use super::host::Host;
use super::process::Process;
use super::qemu::Machine;
use super::qmp::{Qmp, QmpError};
use super::toolstack::Toolstack;
use super::unix_sockets::is_same;
use crate::check::ids::Ids;

/// A VM, as far as it was found.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) host: Host,
    pub(super) ids: Ids,
    /// In words.
    pub(super) name: String,
    pub(super) toolstack: Toolstack,
    /// Where its console is recorded, if the user says so.
    pub(super) console: Option<PathBuf>,
    pub(super) qemu: Option<Process>,
    pub(super) monitor: Option<Monitor>,
    pub(super) control: Option<Control>,
    /// Processes of the project's that emulate its device.
    pub(super) emulators: Vec<Process>,
    /// Who serves its channels, as its device's arguments name it.
    pub(super) daemon: Option<Daemon>,
    pub(super) attachment: Option<Attachment>,
    pub(super) xl_config: OnceCell<Result<Value, String>>,
}

/// QEMU's monitor.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) path: PathBuf,
    pub(super) machine: Result<Machine, QmpError>,
}

/// An emulator's control socket.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) path: PathBuf,
    pub(super) answer: Result<(Greeting, Vec<Info>), ClientError>,
}

impl Monitor {
    /// Asks QEMU, and returns its process id too, where it is known.
    pub(super) fn ask(path: &Path, limit: Duration) -> (Option<u32>, Self) {
        let (pid, qmp) = Qmp::connect(path, limit);
        let monitor = Self {
            path: path.to_owned(),
            machine: qmp.and_then(Machine::ask),
        };
        (pid, monitor)
    }

    /// The first of these sockets on which QEMU answers, or the first one. A
    /// monitor takes one client at a time, so another may hold it.
    pub(super) fn first_that_answers(paths: &[&str], host: &Host) -> Option<Self> {
        let mut first = None;
        for path in paths {
            let (_, monitor) = Self::ask(Path::new(path), host.limit);
            if monitor.machine.is_ok() {
                return Some(monitor);
            }
            first.get_or_insert(monitor);
        }
        first
    }
}

impl Control {
    pub(super) fn ask(path: &Path, limit: Duration) -> Self {
        let ask = || {
            let mut client = Client::connect(path, limit)?;
            let devices = client.greeting().devices;
            let infos: Result<_, _> = (0..devices).map(|device| client.info(device)).collect();
            Ok((client.greeting().clone(), infos?))
        };
        Self {
            path: path.to_owned(),
            answer: ask(),
        }
    }
}

impl Subject {
    /// Adds what follows from what was found.
    pub(super) fn complete(mut self, processes: &[Process]) -> Self {
        if self.toolstack != Toolstack::None && self.monitor.is_none() {
            self.monitor = self.monitor_of_xen();
        }
        self.attachment = self.find_attachment();
        let sockets = self.sockets();
        let domain = self.toolstack.domain().map(|domain| domain.to_string());
        let control = self.control.as_ref().map(|control| &control.path);
        let serves = |process: &&Process| {
            let is =
                |option, path: &Path| process.value(option).is_some_and(|it| is_same(it, path));
            (process.is_subcommand("xen")
                && domain.is_some()
                && process.value("--domid") == domain.as_deref())
                || (process.is_subcommand("vfio-user")
                    && (sockets.iter().any(|path| is("--socket", Path::new(path)))
                        || control.is_some_and(|path| is("--control", path))))
        };
        self.emulators = processes.iter().filter(serves).cloned().collect();
        self.daemon = Daemon::of(&self.emulators, self.arguments(), processes);
        self
    }

    /// QEMU's monitor on Xen, where it has the device itself. Elsewhere QEMU
    /// knows nothing of it, and is left alone.
    fn monitor_of_xen(&self) -> Option<Monitor> {
        let domain = self.toolstack.domain()?;
        let devices = arguments::devices(self.qemu.as_ref()?);
        devices.iter().find(|device| device.driver == OWN)?;
        let path = self.host.path(format!("/var/run/xen/qmp-libxl-{domain}"));
        Some(Monitor::ask(&path, self.host.limit).1)
    }

    fn find_attachment(&self) -> Option<Attachment> {
        let known = |driver: &str| match driver {
            OWN => Some(Attachment::Qemu),
            VFIO_USER => Some(Attachment::VfioUser),
            _ => None,
        };
        let has = self.machine().and_then(|machine| {
            let ours = machine.ours(&self.ids);
            known(&ours.first()?.driver)
        });
        let arguments = || known(&self.arguments().first()?.driver);
        let named = has.or_else(arguments);
        if named.is_some() || self.toolstack != Toolstack::None {
            return named.or(Some(Attachment::Xen));
        }
        let told = self.told().and_then(|(greeting, _)| greeting.attachment());
        told.or_else(|| {
            let machine = self.machine()?;
            [OWN, VFIO_USER]
                .into_iter()
                .find(|name| machine.has_type(name))
                .and_then(known)
        })
    }

    /// What QEMU says of the machine, where it answers.
    pub(super) fn machine(&self) -> Option<&Machine> {
        self.monitor.as_ref()?.machine.as_ref().ok()
    }

    /// What an emulator says of itself and its devices, where it answers.
    pub(super) fn told(&self) -> Option<&(Greeting, Vec<Info>)> {
        self.control.as_ref()?.answer.as_ref().ok()
    }

    /// The devices among QEMU's arguments.
    pub(super) fn arguments(&self) -> Vec<arguments::DeviceArgument> {
        let mut devices = self.qemu.as_ref().map_or_else(Vec::new, arguments::devices);
        // What a vfio-user server has may be anything; QEMU knows.
        if let Some(machine) = self.machine()
            && machine.ours(&self.ids).is_empty()
        {
            devices.retain(|device| device.driver == OWN);
        }
        devices
    }

    /// The sockets of vfio-user servers that QEMU's arguments name.
    pub(super) fn sockets(&self) -> Vec<String> {
        let devices = self.arguments().into_iter();
        devices.filter_map(|device| device.socket).collect()
    }

    /// The VM's devices, from whoever can tell.
    pub(super) fn functions(&self) -> Result<Vec<Function>, Trouble> {
        if let Some(machine) = self.machine() {
            return Ok(machine.ours(&self.ids));
        }
        if let Some((_, infos)) = self.told() {
            let infos = infos.iter().enumerate();
            return Ok(infos
                .map(|(index, info)| Function::told(index, info))
                .collect());
        }
        match (self.attachment, self.toolstack.domain()) {
            (Some(Attachment::Xen), Some(domain)) => self.kept(domain),
            _ => Err(Trouble::not_seen(
                "nobody tells: no monitor of QEMU and no control socket answers",
                [Mend::host("vgpu-stub doctor --qmp SOCKET --control SOCKET")],
            )),
        }
    }

    /// What the emulator of a domain has kept of its devices.
    fn kept(&self, domain: u16) -> Result<Vec<Function>, Trouble> {
        let path = vgpu_xen::kept_path(DomainId(domain));
        let bytes = self.host.bytes(&path).map_err(|error| {
            Trouble::not_seen(
                format!("cannot read {}: {error}", path.display()),
                [Mend::host(format!("sudo {}", this_command("")))],
            )
        })?;
        let devices = vgpu_xen::seen(&bytes).map_err(|error| {
            Trouble::not_seen(
                error,
                [Mend::host(
                    "vgpu-stub --version  # the emulator's may be another",
                )],
            )
        })?;
        let devices = devices.iter().enumerate();
        Ok(devices
            .filter_map(|(index, seen)| Function::kept(index, seen))
            .collect())
    }
}
