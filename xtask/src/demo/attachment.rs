//! How the device gets into the demo's machine.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::server::{Server, qemu_device};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::{Failure, OrMend};

use crate::qemu::{self, Source, Variant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attachment {
    /// In a process of its own, beside a stock QEMU
    VfioUser,
    /// Built into QEMU
    Qemu,
    /// In the dom0 of a real Xen, in a virtual machine
    Xen,
}

/// Where the guest will run, and with it the attachment.
#[derive(Debug)]
pub(crate) enum Choice {
    /// In a QEMU of this machine's.
    Qemu(QemuChoice),
    /// On Xen.
    Xen,
}

/// The QEMU to run.
#[derive(Debug)]
pub(crate) enum QemuChoice {
    /// vfio-user, with this machine's QEMU.
    System(StockQemu),
    /// vfio-user, with Debian's QEMU.
    Fetched,
    /// A QEMU with the device, built from the source of a release, or of the one that this machine runs.
    Built(Option<String>),
}

/// A machine with the device, yet to be started.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) builder: MachineBuilder,
    /// The program that runs it.
    pub(crate) binary: PathBuf,
    /// QEMU's name and version.
    pub(crate) qemu: String,
    /// The process with the device, where it is not QEMU's own.
    pub(crate) server: Option<Server>,
}

impl Choice {
    /// Chooses for the user's options, and says why. `system` looks for this machine's QEMU, if it can do vfio-user.
    pub(crate) fn new(
        attachment: Option<Attachment>,
        suite: Option<&str>,
        system: impl FnOnce() -> Option<StockQemu>,
    ) -> Result<(Self, String)> {
        let built = || QemuChoice::Built(suite.map(String::from));
        let (choice, why) = match (attachment, suite) {
            (Some(Attachment::VfioUser | Attachment::Xen), Some(_)) => {
                return Err(Failure::new("--suite names a QEMU to build the device into, and this attachment builds none", "Leave out --suite, or ask for --attachment qemu.").into());
            }
            (Some(Attachment::Xen), None) => {
                let why = "Attachment xen, in the dom0 of a real Xen, in a virtual machine.";
                return Ok((Self::Xen, why.into()));
            }
            (Some(Attachment::Qemu), _) => (built(), "built from source, as asked for".into()),
            (None, Some(_)) => (built(), "built from source, as --suite asks for it".into()),
            (_, None) => match (system(), attachment) {
                (Some(qemu), _) => {
                    let why = format!("with {}: nothing needs building", qemu.path.display());
                    (QemuChoice::System(qemu), why)
                }
                (None, Some(_)) => (
                    QemuChoice::Fetched,
                    format!("with Debian's QEMU in the cache, as {NOT_HERE}"),
                ),
                (None, None) => (built(), format!("built from source, as {NOT_HERE}")),
            },
        };
        let why = format!("Attachment {}, {why}.", choice.attachment());
        Ok((Self::Qemu(choice), why))
    }
}

impl QemuChoice {
    fn attachment(&self) -> &'static str {
        match self {
            Self::System(_) | Self::Fetched => "vfio-user",
            Self::Built(_) => "qemu",
        }
    }

    /// Gets the QEMU and the device ready. `program` is the command vgpu-stub.
    pub(crate) fn prepare(
        self,
        machine: MachineType,
        program: &Path,
        cache: &Cache,
        steps: &Steps,
    ) -> Result<Host> {
        match self {
            Self::System(qemu) => with_vfio_user(&qemu, machine, program),
            Self::Fetched => with_vfio_user(&StockQemu::fetch(cache, steps)?, machine, program),
            Self::Built(suite) => with_qemu(suite.as_deref(), machine, cache, steps),
        }
    }
}

const NOT_HERE: &str = "no QEMU here can do vfio-user (10.1 or newer)";

/// A stock QEMU, and the device in a process beside it.
fn with_vfio_user(qemu: &StockQemu, machine: MachineType, program: &Path) -> Result<Host> {
    let server = Server::start(program, [""; 0])
        .or_mend("Start it by hand, to see more: vgpu-stub vfio-user --help")?;
    let builder = MachineBuilder::new(&qemu.path, machine, &Firmware::own())
        .shared_memory()
        .device(&qemu_device(server.socket(), &[]));
    Ok(Host {
        builder,
        binary: qemu.path.clone(),
        qemu: format!("QEMU {}", qemu.release),
        server: Some(server),
    })
}

/// A QEMU that has the device itself.
fn with_qemu(
    suite: Option<&str>,
    machine: MachineType,
    cache: &Cache,
    steps: &Steps,
) -> Result<Host> {
    let suite = suite.map_or_else(Suite::host, |codename| Ok(Suite::debian(codename)))?;
    let qemu = qemu::build(cache, &Source::Suite(suite), Variant::Plain, steps)?;
    let firmware = Firmware::seabios(cache, steps)?;
    Ok(Host {
        builder: MachineBuilder::new(&qemu.path, machine, &firmware).device("vgpu-stub"),
        qemu: format!("QEMU {}", qemu.release),
        binary: qemu.path,
        server: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgpu_terminal::describe;

    fn system() -> Option<StockQemu> {
        Some(StockQemu {
            path: "/usr/bin/qemu-system-x86_64".into(),
            release: "10.1.0".into(),
        })
    }

    fn why(
        attachment: Option<Attachment>,
        suite: Option<&str>,
        system: impl FnOnce() -> Option<StockQemu>,
    ) -> String {
        Choice::new(attachment, suite, system).unwrap().1
    }

    #[test]
    fn nothing_is_built_where_the_systems_qemu_will_do() {
        let asked = Some(Attachment::VfioUser);
        let text =
            "Attachment vfio-user, with /usr/bin/qemu-system-x86_64: nothing needs building.";
        assert_eq!(why(None, None, system), text);
        assert_eq!(why(asked, None, system), text);
        assert_eq!(
            why(asked, None, || None),
            format!("Attachment vfio-user, with Debian's QEMU in the cache, as {NOT_HERE}.")
        );
    }

    #[test]
    fn qemu_is_built_where_it_must_be_or_is_asked_for() {
        let asked = Some(Attachment::Qemu);
        let text = format!("Attachment qemu, built from source, as {NOT_HERE}.");
        assert_eq!(why(None, None, || None), text);
        assert_eq!(
            why(asked, None, system),
            "Attachment qemu, built from source, as asked for."
        );
        assert_eq!(
            why(None, Some("trixie"), system),
            "Attachment qemu, built from source, as --suite asks for it."
        );
        let (choice, _) = Choice::new(asked, Some("trixie"), system).unwrap();
        assert!(
            matches!(choice, Choice::Qemu(QemuChoice::Built(Some(suite))) if suite == "trixie")
        );
    }

    #[test]
    fn xen_is_only_chosen_where_it_is_asked_for() {
        let (choice, text) = Choice::new(Some(Attachment::Xen), None, system).unwrap();
        assert!(matches!(choice, Choice::Xen));
        assert_eq!(
            text,
            "Attachment xen, in the dom0 of a real Xen, in a virtual machine."
        );
    }

    #[test]
    fn a_suite_makes_no_sense_where_no_qemu_is_built() {
        for attachment in [Attachment::VfioUser, Attachment::Xen] {
            let error = Choice::new(Some(attachment), Some("trixie"), system).unwrap_err();
            assert_eq!(
                describe(&error),
                "error: --suite names a QEMU to build the device into, and this attachment builds none\n\
                 mend:  Leave out --suite, or ask for --attachment qemu.\n"
            );
        }
    }
}
