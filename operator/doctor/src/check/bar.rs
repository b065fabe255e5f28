//! Criterion 5: a memory BAR that the guest can map. What capabilities the
//! function has depends on the bus that it sits on, and is no part of it.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use vgpu_abi::bar0;
use vgpu_bar::MappedBar;
use vgpu_checklist::Evidence;
use vgpu_pci::{Command, offset};
use vgpu_terminal::{Failure, OrMend};

use super::{
    resource::Resource,
    state::State,
    sysfs::Function,
    undo::{self, Undo},
};

/// The register that the guest may write and that nobody acts on.
const REQUEST_ID: usize = bar0::REQUEST_ID as usize;

/// Each bit once set and once clear.
const PATTERNS: [u32; 2] = [0xa5a5_5a5a, 0x5a5a_a5a5];

const WRONG_DEVICE: &str = "attach a vgpu-stub device of this release, and no other with its ids";
const NO_ROOM: &str = "read the boot messages of the kernel: dmesg | grep -i bar";
const NO_ANSWER: &str = "read the log of the device's emulator on the host, and see that it runs";
const NOT_ALLOWED: &str =
    "see that no other program uses the device, and boot without lockdown (Secure Boot)";

/// What can be seen without a change: resource and BAR register.
pub(crate) fn check_description(
    function: &Function<'_>,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let resource = function.resource(bar0::INDEX).or_mend(WRONG_DEVICE)?;
    if resource.size() == 0 {
        return Err(Failure::new(
            "no BAR 0: the device has none, or the kernel found no room for it",
            NO_ROOM,
        ));
    }
    check_resource(&resource).or_mend(WRONG_DEVICE)?;
    let size = resource.size() >> 10;
    evidence.note(format!(
        "resource 0: {resource}, {size} KiB of 32-bit, non-prefetchable memory"
    ));
    if !resource.is_assigned() {
        return Err(Failure::new("BAR 0 has no address", NO_ROOM));
    }

    let config = function.config().or_mend(NOT_ALLOWED)?;
    let register = config.u32(offset::BAR0).or_mend(WRONG_DEVICE)?;
    if u64::from(register) != resource.start {
        return Err(Failure::new(
            format!("config 0x10: {register:#010x}, not the address of resource 0, {resource}"),
            NO_ROOM,
        ));
    }
    evidence.note(format!("config 0x10: {register:#010x}"));
    Ok(())
}

fn check_resource(resource: &Resource) -> Result<()> {
    let size = resource.size();
    ensure!(
        resource.is_plain_memory(),
        "BAR 0 is not 32-bit, non-prefetchable memory: {resource}"
    );
    ensure!(
        size.is_power_of_two() && size >= bar0::MIN_SIZE.into(),
        "BAR 0 has {size} bytes, not a power of two from {}",
        bar0::MIN_SIZE
    );
    Ok(())
}

/// What takes a change: the function is enabled, its BAR mapped, its Request
/// ID register written. All is put back.
pub(crate) fn check_access(
    function: &Function<'_>,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    if function.sysfs().is_locked_down() {
        // What enabling changes in config space could not be put back.
        evidence.note("skipped (kernel lockdown): enable, Request ID");
        return Ok(());
    }
    let state = State::of(function).or_mend(NOT_ALLOWED)?;
    let undo = Undo::new(|| state.restore(function));

    // The kernel enables no function behind the back of its driver.
    function.set_driver(None).or_mend(NOT_ALLOWED)?;
    function.enable(true).or_mend(NO_ROOM)?;
    let command = function
        .config()
        .and_then(|config| config.u16(offset::COMMAND))
        .or_mend(NOT_ALLOWED)?;
    if !Command::from_bits_retain(command).contains(Command::MEMORY_SPACE) {
        return Err(Failure::new(
            format!("enabled, yet Command is {command:#06x}: memory decode is off"),
            WRONG_DEVICE,
        ));
    }
    evidence.note(format!("enable: accepted, Command {command:#06x}"));

    check_request_id(function, evidence)?;
    undo.finish().or_mend(undo::MEND)
}

fn check_request_id(function: &Function<'_>, evidence: &mut Evidence) -> Result<(), Failure> {
    let size = function
        .resource(bar0::INDEX)
        .map(|resource| resource.size())
        .and_then(|size| Ok(usize::try_from(size)?))
        .or_mend(NOT_ALLOWED)?;
    let file = function.open_resource(bar0::INDEX).or_mend(NOT_ALLOWED)?;
    let bar = match MappedBar::new(file, size).context("cannot map the BAR") {
        Ok(bar) => bar,
        // Not even to root: the kernel is locked down, and does not show it.
        Err(error) if is_forbidden(&error) => {
            evidence.note(format!("skipped (kernel lockdown: {error:#}): Request ID"));
            return Ok(());
        }
        Err(error) => return Err(error).or_mend(NOT_ALLOWED),
    };

    let request_id = bar.register(REQUEST_ID).or_mend(NO_ANSWER)?;
    let before = request_id.load(Ordering::Relaxed);
    let undo = Undo::new(|| {
        write_and_read_back(request_id, before).context("Request ID does not take its value back")
    });
    for pattern in PATTERNS {
        write_and_read_back(request_id, pattern).or_mend(NO_ANSWER)?;
        evidence.note(format!(
            "resource0: Request ID at {REQUEST_ID:#05x} keeps {pattern:#010x}"
        ));
    }
    undo.finish().or_mend(NO_ANSWER)?;
    evidence.note(format!("resource0: Request ID is {before:#010x} again"));
    Ok(())
}

/// EPERM, which is not what missing rights of a file give.
fn is_forbidden(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.and_then(io::Error::raw_os_error) == Some(Errno::PERM.raw_os_error())
}

fn write_and_read_back(request_id: &AtomicU32, value: u32) -> Result<()> {
    request_id.store(value, Ordering::Relaxed);
    let read = request_id.load(Ordering::Relaxed);
    ensure!(
        read == value,
        "Request ID at BAR0 offset {REQUEST_ID:#05x}: wrote {value:#010x}, read {read:#010x}"
    );
    Ok(())
}
