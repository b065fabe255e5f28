//! Criterion 7: the PCI subsystem probes the device: a driver binds and
//! unbinds, and the bus finds the device again after it was removed.

use std::{fmt, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use vgpu_abi::bar0;
use vgpu_checklist::Evidence;
use vgpu_terminal::{Failure, OrMend};

use super::{
    state::State,
    sysfs::{Function, or_none},
    undo::{self, Undo},
};

/// Drivers that take any function and leave it alone. Some kernels have the
/// second alone, as Debian's for the cloud.
const STUB_DRIVERS: [&str; 2] = ["pci-stub", "pci-pf-stub"];

const READ_LOG: &str = "read what the kernel says about the device: dmesg | tail";

/// Binds, unbinds, removes and finds again. All is put back.
pub(super) fn check(
    function: &Function<'_>,
    modprobe: &Path,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let state = State::of(function).or_mend(READ_LOG)?;
    let driver = load_stub_driver(function, modprobe)?;
    let unload = Undo::new(|| driver.unload(modprobe));
    let undo = Undo::new(|| state.restore(function));

    function.set_driver(None).or_mend(READ_LOG)?;
    bind_and_unbind(function, driver.name, evidence).or_mend(READ_LOG)?;
    remove_and_rescan(function, evidence).or_mend(READ_LOG)?;

    undo.finish().or_mend(undo::MEND)?;
    evidence.note(format!("driver again: {}", or_none(state.driver())));
    unload.finish().or_mend(undo::MEND)
}

fn bind_and_unbind(function: &Function<'_>, driver: &str, evidence: &mut Evidence) -> Result<()> {
    function.set_driver_override(Some(driver))?;
    function.probe_driver()?;
    let bound = function.driver()?;
    let seen = format!(
        "driver_override {driver}, drivers_probe: bound to {}",
        or_none(bound.as_deref())
    );
    ensure!(bound.as_deref() == Some(driver), "{seen}");
    evidence.note(seen);

    function.set_driver(None)?;
    function.set_driver_override(None)?;
    let left = function.driver_override()?;
    ensure!(
        left.is_none(),
        "cleared, yet driver_override is {}",
        or_none(left.as_deref())
    );
    evidence.note("unbound, driver_override cleared");
    Ok(())
}

fn remove_and_rescan(function: &Function<'_>, evidence: &mut Evidence) -> Result<()> {
    let before = Identity::of(function)?;
    function.remove()?;
    ensure!(
        !function.exists(),
        "removed, yet {} is there",
        function.path().display()
    );

    function.sysfs().rescan()?;
    ensure!(
        function.exists(),
        "removed, and a rescan does not find it again"
    );
    let after = Identity::of(function)?;
    ensure!(
        after == before,
        "removed, and found as another: {before}, now {after}"
    );

    let resource = function.resource(bar0::INDEX)?;
    ensure!(
        resource.is_assigned(),
        "removed, and found without an address for BAR 0"
    );
    evidence.note(format!(
        "removed, found again by a rescan: the same ids, BAR 0 at {:#010x}",
        resource.start
    ));
    Ok(())
}

/// What a function keeps when it is found again. The kernel may give its BAR
/// another address.
#[derive(PartialEq, Eq)]
struct Identity {
    vendor: u32,
    device: u32,
    class: u32,
    bar_size: u64,
}

impl Identity {
    fn of(function: &Function<'_>) -> Result<Self> {
        Ok(Self {
            vendor: function.hex("vendor")?,
            device: function.hex("device")?,
            class: function.hex("class")?,
            bar_size: function.resource(bar0::INDEX)?.size(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vendor,
            device,
            class,
            bar_size,
        } = self;
        write!(
            f,
            "{vendor:04x}:{device:04x} class {class:06x} BAR 0 of {bar_size} bytes"
        )
    }
}

struct StubDriver {
    name: &'static str,
    loaded_here: bool,
}

impl StubDriver {
    fn unload(&self, modprobe: &Path) -> Result<()> {
        if !self.loaded_here {
            return Ok(());
        }
        run(Command::new(modprobe).arg("-r").arg(self.name))
    }
}

/// Finds a stub driver in the kernel, or loads one where the guest can.
fn load_stub_driver(function: &Function<'_>, modprobe: &Path) -> Result<StubDriver, Failure> {
    let has_driver = |name: &&str| function.sysfs().has_driver(name);
    if let Some(name) = STUB_DRIVERS.into_iter().find(has_driver) {
        return Ok(StubDriver {
            name,
            loaded_here: false,
        });
    }
    for name in STUB_DRIVERS {
        if modprobe.exists() && run(Command::new(modprobe).arg(name)).is_ok() && has_driver(&name) {
            return Ok(StubDriver {
                name,
                loaded_here: true,
            });
        }
    }
    Err(Failure::new(
        "this kernel has neither the driver pci-stub nor pci-pf-stub",
        "modprobe pci-stub, or modprobe pci-pf-stub where the kernel has no such module",
    ))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}
