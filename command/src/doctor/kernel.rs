//! What the guest's kernel has of the device: its function, its driver, its node.

use std::fs;
use std::path::Path;

use rustix::io::Errno;
use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_node::Node;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::shell::this_command;

use super::machine::Guest;

const MODULE: &str = "vgpu";
/// The first device's node.
pub(super) const NODE: &str = "/dev/vgpu0";
/// The capability to lock memory without a limit (Linux: capability.h).
const IPC_LOCK: u32 = 14;

pub(super) fn device(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    let devices = guest.devices();
    for device in &devices {
        seen.note(device.display());
    }
    match devices.is_empty() {
        false => Ok(()),
        true => Err(Trouble::fault(
            "no PCI function is a virtual GPU",
            [Mend::host("vgpu-stub doctor --vm NAME")],
        )),
    }
}

pub(super) fn module(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    if guest.path("/sys/module/vgpu").exists() {
        seen.note(format!("/sys/module/{MODULE}"));
        return Ok(());
    }
    let kernel = guest.text("/proc/sys/kernel/osrelease");
    let kernel = kernel.trim();
    let built = guest.text(&format!("/lib/modules/{kernel}/modules.dep"));
    let is_it = |line: &str| {
        let file = line.split(':').next().unwrap_or_default();
        let name = Path::new(file).file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("vgpu.ko")
    };
    if built.lines().any(is_it) {
        return Err(Trouble::fault(
            "vgpu.ko is there, and not loaded",
            [Mend::guest("sudo modprobe vgpu")],
        ));
    }
    Err(Trouble::fault(
        format!("there is no vgpu.ko for this kernel, {kernel}"),
        [
            Mend::guest(format!(
                "sudo apt-get install linux-headers-{kernel} vgpu-dkms  # the latter from its file, where it is not there"
            )),
            Mend::guest(format!(
                "sudo dkms autoinstall -k {kernel} && sudo modprobe vgpu"
            )),
        ],
    ))
}

type MendOf = fn() -> Mend;

/// What the driver says as it refuses a device, and what mends that.
const REFUSALS: [(&str, MendOf); 3] = [
    ("has no features", || {
        Mend::host("vgpu-stub doctor --vm NAME  # its device needs features=on, and a new start")
    }),
    ("is of version", || {
        Mend::guest(
            "sudo apt-get install --only-upgrade vgpu-dkms  # of the host's version: vgpu-stub --version there",
        )
    }),
    ("are needed", || {
        Mend::host("vgpu-stub --version  # of another version than the guest's vgpu-dkms")
    }),
];

pub(super) fn bound(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    for device in guest.devices() {
        let address = device.file_name().unwrap_or_default().to_string_lossy();
        let driver = fs::read_link(device.join("driver")).ok();
        let driver = driver.as_deref().and_then(Path::file_name);
        match driver.map(|name| name.to_string_lossy()).as_deref() {
            Some(MODULE) => seen.note(format!("{address}: {MODULE}")),
            Some(other) => {
                return Err(Trouble::fault(
                    format!("the driver {other} has {address}"),
                    [Mend::guest(format!(
                        "echo {address} | sudo tee /sys/bus/pci/drivers/{other}/unbind \
                         /sys/bus/pci/drivers/{MODULE}/bind"
                    ))],
                ));
            }
            None => return Err(refused(guest, &address)),
        }
    }
    Ok(())
}

/// The driver does not take a device.
fn refused(guest: &Guest, address: &str) -> Trouble {
    let Some(said) = guest.kernel_says(&format!("{MODULE} {address}: ")) else {
        return Trouble::fault(
            format!("no driver has {address}; what the driver says of it is in the kernel's log"),
            [
                Mend::guest(format!("sudo dmesg | grep {address}")),
                Mend::guest(format!(
                    "echo {address} | sudo tee /sys/bus/pci/drivers/{MODULE}/bind"
                )),
            ],
        );
    };
    let known = REFUSALS.iter().find(|(words, _)| said.contains(words));
    let mend = known.map_or_else(
        || {
            Mend::guest(format!(
                "echo {address} | sudo tee /sys/bus/pci/drivers/{MODULE}/bind"
            ))
        },
        |(_, mend)| mend(),
    );
    Trouble::fault(format!("no driver has it: {said}"), [mend])
}

pub(super) fn node(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    let who = rustix::process::geteuid().as_raw();
    let (cause, mend) = match Node::open(&guest.path(NODE)) {
        Ok(_) => {
            seen.note(format!("user {who} may open {NODE}"));
            return Ok(());
        }
        Err(Errno::NOENT) => (
            format!("there is no {NODE}, though the driver has the device"),
            "sudo udevadm trigger --action=add --subsystem-match=misc  # in a container, it has to be let in",
        ),
        Err(Errno::ACCESS) if !guest.text("/etc/group").lines().any(is_group) => (
            format!("{NODE} is root's, as there is no group vgpu"),
            "sudo groupadd --system vgpu && sudo udevadm trigger --action=add --subsystem-match=misc",
        ),
        Err(Errno::ACCESS) => (
            format!("{NODE} is for root and the group vgpu, and user {who} is not in it"),
            "sudo adduser \"$USER\" vgpu  # and log in anew; if that was done, newgrp vgpu",
        ),
        Err(error) => (
            format!("cannot open {NODE}: {error}"),
            "sudo dmesg | grep vgpu",
        ),
    };
    Err(Trouble::fault(cause, [Mend::guest(mend)]))
}

fn is_group(line: &str) -> bool {
    line.starts_with("vgpu:")
}

/// It locks what it shares, where there are no huge pages; the driver's memory counts for no limit.
pub(super) fn locked_memory(guest: &Guest, seen: &mut Evidence) -> Result<(), Trouble> {
    let status = guest.text("/proc/self/status");
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let number = |text: &str| u64::from_str_radix(text.trim(), 16).ok();
    let can = field("CapEff:").and_then(number).unwrap_or_default() >> IPC_LOCK & 1 == 1;
    let user = field("Uid:").and_then(|ids| ids.split_whitespace().nth(1));
    if can || user != Some("0") {
        seen.note("RLIMIT_MEMLOCK bounds none of this user's sessions");
        return Ok(());
    }
    let limits = guest.text("/proc/self/limits");
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = limit.and_then(|limit| limit.split_whitespace().next());
    let Some(bytes) = soft.and_then(|soft| soft.parse::<u64>().ok()) else {
        seen.note("RLIMIT_MEMLOCK: none");
        return Ok(());
    };
    let needed = 4 * SLICE_SIZE as u64;
    if bytes >= needed {
        seen.note(format!("RLIMIT_MEMLOCK: {bytes} bytes"));
        return Ok(());
    }
    Err(Trouble::fault(
        format!(
            "RLIMIT_MEMLOCK is {bytes} bytes, and root here may not lock more: vgpu ping needs {needed}"
        ),
        [Mend::guest(format!(
            "prlimit --memlock={needed} --pid $$ && {}  # or let the container have CAP_IPC_LOCK",
            this_command("")
        ))],
    ))
}
