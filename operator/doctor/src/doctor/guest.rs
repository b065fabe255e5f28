//! What is looked at in the guest. The looks are those of `vgpu-stub check`
//! that change nothing; here each fault has a mend to type.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use vgpu_abi::{bar0, ids::CLASS_CODE};
use vgpu_bar::MappedBar;
use vgpu_checklist::{Evidence, Mend, OrType, Point, Trouble};
use vgpu_pci::{Command, offset};
use vgpu_terminal::shell::this_command;

use crate::check::identity;
use crate::check::ids::Ids;
use crate::check::kernel_log::{self, KernelLog};
use crate::check::sysfs::{Function, Sysfs};
use crate::check::{Paths, address::PciAddress, bar};

/// The driver that knows the device, of the package vgpu-dkms.
const OWN_DRIVER: &str = "vgpu";

/// A user other than root sees no more of config space.
const SEEN_BY_ALL: usize = 64;

/// A Linux guest, as its kernel shows it.
pub(super) struct Guest<'a> {
    ids: &'a Ids,
    /// Every function of every bus.
    all: Vec<Function<'a>>,
    /// Indexes in `all` of those that are, or should be, the device.
    ours: Vec<usize>,
    kernel_log: PathBuf,
    /// What the kernel was started with.
    arguments: String,
}

impl<'a> Guest<'a> {
    /// Looks for the device: at the address, or by its ids; by its class where
    /// no function has the ids.
    pub(super) fn find(
        sysfs: Option<&'a Sysfs>,
        ids: &'a Ids,
        address: Option<&PciAddress>,
        paths: &Paths,
    ) -> Self {
        let all = sysfs.map_or_else(Vec::new, |sysfs| sysfs.functions().unwrap_or_default());
        let which = |test: &dyn Fn(&Function<'_>) -> bool| -> Vec<usize> {
            let indexes = all
                .iter()
                .enumerate()
                .filter(|(_, function)| test(function));
            indexes.map(|(index, _)| index).collect()
        };
        let ours = match address {
            Some(address) => which(&|function| function.address() == address),
            None => match which(&|function| ids.match_sysfs(function)) {
                none if none.is_empty() => {
                    which(&|function| function.hex("class").is_ok_and(|it| it == CLASS_CODE))
                }
                found => found,
            },
        };
        Self {
            ids,
            all,
            ours,
            kernel_log: paths.kernel_log.clone(),
            arguments: std::fs::read_to_string("/proc/cmdline").unwrap_or_default(),
        }
    }

    fn ours(&self) -> impl Iterator<Item = &Function<'a>> {
        self.ours.iter().filter_map(|index| self.all.get(*index))
    }
}

pub(super) fn points<'a>() -> [Point<Guest<'a>>; 9] {
    [
        Point {
            id: "pci",
            title: "The kernel has found PCI functions",
            guide: "6",
            after: &[],
            look: pci,
        },
        Point {
            id: "device",
            title: "The device is among them",
            guide: "2, issue 2",
            after: &["pci"],
            look: device,
        },
        Point {
            id: "config-space",
            title: "Config space answers",
            guide: "4, issue 2",
            after: &["device"],
            look: config_space,
        },
        Point {
            id: "ids",
            title: "The ids are the expected ones",
            guide: "8",
            after: &["config-space"],
            look: ids,
        },
        Point {
            id: "class",
            title: "The class is Processing accelerators",
            guide: "issue 3",
            after: &["config-space"],
            look: class,
        },
        Point {
            id: "bar",
            title: "BAR 0 is there and has an address",
            guide: "5, issue 4",
            after: &["config-space"],
            look: bar,
        },
        Point {
            id: "access",
            title: "Memory decode is on, and BAR 0 answers",
            guide: "5",
            after: &["bar"],
            look: access,
        },
        Point {
            id: "driver",
            title: "No other driver has taken the device",
            guide: "8",
            after: &["device"],
            look: driver,
        },
        Point {
            id: "log",
            title: "The kernel log has no complaint about the device",
            guide: "6, test 4",
            after: &["config-space"],
            look: log,
        },
    ]
}

fn pci(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    if !guest.all.is_empty() {
        seen.note(format!(
            "/sys/bus/pci/devices: {} functions",
            guest.all.len()
        ));
        return Ok(());
    }
    let words = guest.arguments.split_whitespace();
    let switch = words.into_iter().find(|word| word.starts_with("pci="));
    match switch {
        Some(switch) => Err(Trouble::fault(
            format!("the kernel was started with {switch}, and has found no PCI function"),
            [Mend::guest(format!(
                "sed -i 's/ *{switch}//' /etc/default/grub && update-grub && reboot"
            ))],
        )),
        None => Err(Trouble::fault(
            "the kernel has found no PCI function",
            [Mend::guest(
                "zgrep CONFIG_PCI= /proc/config.gz /boot/config-$(uname -r)",
            )],
        )),
    }
}

fn device(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        seen.note(function.path().display());
    }
    if !guest.ours.is_empty() {
        return Ok(());
    }
    let ids = guest.ids;
    Err(Trouble::fault(
        format!(
            "no function has the ids {ids}, nor the device's class; where a rescan does not find \
             it, run vgpu-stub doctor on the host"
        ),
        [Mend::guest("echo 1 >/sys/bus/pci/rescan")],
    ))
}

fn config_space(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        let address = function.address();
        let config = function
            .config()
            .map_err(|error| unreadable(format!("{error:#}")))?;
        let start: [u8; 4] = config
            .bytes(offset::VENDOR_ID)
            .map_err(|error| unreadable(error.to_string()))?;
        let [a, b, c, d] = start;
        let line = format!("{address}, config 0x00: {a:02x} {b:02x} {c:02x} {d:02x}");
        if start == [0xff; 4] {
            return Err(Trouble::fault(
                format!("{line}: nobody answers, the emulator on the host is gone"),
                [Mend::host("vgpu-stub doctor --vm NAME")],
            ));
        }
        seen.note(line);
    }
    Ok(())
}

fn ids(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        let mend = || {
            let of = |name| function.hex(name).unwrap_or_default();
            let (vendor, device) = (of("vendor"), of("device"));
            Mend::guest(this_command(&format!(
                "--vendor-id {vendor:04x} --device-id {device:04x}"
            )))
        };
        guest.ids.check_vendor(function, seen).or_type(mend)?;
        guest.ids.check_device(function, seen).or_type(mend)?;
    }
    Ok(())
}

fn class(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        identity::check_class(function, seen).or_type(replace)?;
    }
    Ok(())
}

fn bar(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        all_of_config_space(function)?;
        // A BAR that the device has and the kernel did not place, or whose
        // address was lost, is placed anew; one that it has not, never.
        let resource = function.resource(bar0::INDEX);
        let is_there = resource.is_ok_and(|it| it.size() != 0 && it.is_plain_memory());
        let mend = || match is_there {
            true => Mend::guest(rescan(function)),
            false => replace(),
        };
        bar::check_description(function, seen).or_type(mend)?;
    }
    Ok(())
}

fn access(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        all_of_config_space(function)?;
        let address = function.address();
        let config = function
            .config()
            .map_err(|error| unreadable(format!("{error:#}")))?;
        let command = config.u16(offset::COMMAND).unwrap_or_default();
        let line = format!("{address}, config 0x04: Command {command:#06x}");
        if !Command::from_bits_retain(command).contains(Command::MEMORY_SPACE) {
            return Err(Trouble::fault(
                format!("{line}: memory decode is off, no access reaches BAR 0"),
                [Mend::guest(format!("setpci -s {address} COMMAND=2:2"))],
            ));
        }
        seen.note(line);
        let registers = [bar0::COMMAND, bar0::REQUEST_ID];
        let values = read(function, registers).map_err(|error| {
            Trouble::not_seen(
                format!("{error:#}"),
                [Mend::guest("cat /sys/kernel/security/lockdown")],
            )
        })?;
        if values == [u32::MAX; 2] {
            return Err(Trouble::fault(
                format!("{address}: BAR 0 reads all ones: nobody answers"),
                [Mend::host("vgpu-stub doctor --vm NAME")],
            ));
        }
        let [command, request] = values;
        seen.note(format!(
            "BAR 0: Command {command:#x}, Request ID {request:#x}"
        ));
    }
    Ok(())
}

/// Reads registers of BAR 0. To read has no effect.
fn read<const N: usize>(function: &Function<'_>, offsets: [u64; N]) -> anyhow::Result<[u32; N]> {
    let file = function.open_resource(bar0::INDEX)?;
    let size = usize::try_from(function.resource(bar0::INDEX)?.size())?;
    let bar = MappedBar::new(file, size).context("cannot map the BAR")?;
    let mut values = [0; N];
    for (value, offset) in values.iter_mut().zip(offsets) {
        *value = bar
            .register(usize::try_from(offset)?)?
            .load(Ordering::Relaxed);
    }
    Ok(values)
}

fn driver(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in guest.ours() {
        let address = function.address();
        let driver = function
            .driver()
            .map_err(|error| unreadable(format!("{error:#}")))?;
        match driver {
            None => seen.note(format!("{address}: no driver")),
            Some(own) if own == OWN_DRIVER => {
                seen.note(format!("{address}: {own}; vgpu doctor looks on from there"));
            }
            Some(driver) => {
                return Err(Trouble::fault(
                    format!("{address}: the driver {driver} has it, which knows no vGPU"),
                    [Mend::guest(format!(
                        "echo {address} >/sys/bus/pci/drivers/{driver}/unbind"
                    ))],
                ));
            }
        }
    }
    Ok(())
}

fn log(guest: &Guest<'_>, seen: &mut Evidence) -> Result<(), Trouble> {
    let log = KernelLog::read(&guest.kernel_log)
        .map_err(|error| Trouble::not_seen(format!("{error:#}"), [Mend::guest(as_root())]))?;
    for function in guest.ours() {
        let address = function.address();
        let mend = || Mend::guest(format!("dmesg | grep {address}"));
        kernel_log::check(&log, address, seen).or_type(mend)?;
    }
    Ok(())
}

fn all_of_config_space(function: &Function<'_>) -> Result<(), Trouble> {
    match function.config() {
        Ok(config) if config.len() > SEEN_BY_ALL => Ok(()),
        Ok(_) => Err(Trouble::not_seen(
            "only root sees all of config space, and BAR 0",
            [Mend::guest(as_root())],
        )),
        Err(error) => Err(unreadable(format!("{error:#}"))),
    }
}

fn unreadable(why: String) -> Trouble {
    Trouble::not_seen(why, [Mend::guest(as_root())])
}

fn as_root() -> String {
    format!("sudo {}", this_command(""))
}

/// The kernel finds the function anew, and places its BAR.
fn rescan(function: &Function<'_>) -> String {
    let address = function.address();
    format!(
        "echo 1 >/sys/bus/pci/devices/{address}/remove; echo 1 >/sys/bus/pci/rescan; \
         setpci -s {address} COMMAND=2:2"
    )
}

/// What is no vgpu-stub is replaced where it is emulated.
fn replace() -> Mend {
    Mend::host("vgpu-stub doctor --vm NAME  # says how to replace what is not vgpu-stub")
}
