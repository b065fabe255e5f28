//! The program that `xl` starts as a domain's device model: it takes the
//! project's devices out of QEMU's arguments, starts their emulator, and
//! becomes the real QEMU, which never hears of them.

use std::env::{self, ArgsOs};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::background;
use crate::COULD_NOT_RUN;
use crate::device_properties::DeviceProperties;
use crate::failure::Failure;

/// The name by which this program knows what it is to be.
pub(crate) const NAME: &str = "vgpu-stub-device-model";

/// Names the real QEMU where it is none of [`QEMUS`].
const QEMU_VARIABLE: &str = "VGPU_STUB_QEMU";

/// Where distributions and Xen itself put the QEMU that xl would start.
pub(crate) const QEMUS: [&str; 8] = [
    "/usr/libexec/xen-qemu-system-i386",
    "/usr/lib/xen/bin/qemu-system-i386",
    "/usr/libexec/xen/bin/qemu-system-i386",
    "/usr/lib64/xen/bin/qemu-system-i386",
    "/usr/local/lib/xen/bin/qemu-system-i386",
    "/usr/local/libexec/xen/bin/qemu-system-i386",
    "/usr/bin/qemu-system-i386",
    "/usr/bin/qemu-system-x86_64",
];

/// The device, as QEMU's `-device` has it.
const DEVICE: &str = "vgpu-stub";

/// A property with its default.
const DEFAULT: &str = "revision=1";

/// What `-device help` says of it, as QEMU built with the device does.
const HELP: &str =
    "name \"vgpu-stub\", bus PCI, desc \"Virtual GPU stub (processing accelerator)\"";

/// QEMU's arguments, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    /// Those that are QEMU's.
    qemu: Vec<OsString>,
    /// The properties of each device of ours, as `vgpu-stub xen` takes them.
    devices: Vec<String>,
    domain: Option<String>,
    /// Whether the domain is restored or migrated here.
    incoming: bool,
    /// Whether QEMU is asked which devices it has.
    help: bool,
}

/// Acts as the device model that `xl` has started.
pub(crate) fn main(arguments: ArgsOs) -> ExitCode {
    run(arguments).unwrap_or_else(|failure| {
        failure.print_cause_last();
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// It fails where the emulator or QEMU cannot be started.
fn run(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(arguments)?;
    let qemu = real_qemu()?;
    if arguments.help {
        return help(&qemu, &arguments.qemu);
    }
    if !arguments.devices.is_empty() {
        if arguments.incoming {
            return Err(Failure::new(
                "a domain with vgpu-stub cannot be restored or migrated: its registers were not saved",
                "start the domain anew: xl create",
            ));
        }
        let domain = arguments.domain.as_deref().ok_or_else(|| {
            Failure::new(
                "QEMU's arguments name no domain (-xen-domid)",
                "name this program in device_model_override, for xl to start",
            )
        })?;
        start_emulator(domain, &arguments)?;
    }
    // It only returns where it fails.
    let error = Command::new(&qemu)
        .arg0(env::args_os().next().unwrap_or_else(|| qemu.clone().into()))
        .args(&arguments.qemu)
        .exec();
    Err(Failure::new(
        format!("cannot run {}: {error}", qemu.display()),
        format!("name the real QEMU in {QEMU_VARIABLE}"),
    ))
}

/// The properties of our devices among QEMU's arguments, as `vgpu-stub xen`
/// takes them.
///
/// # Errors
///
/// A property cannot be.
pub(crate) fn devices(arguments: Vec<String>) -> Result<Vec<String>, Failure> {
    let sorted = Arguments::parse(arguments.into_iter().map(OsString::from))?;
    Ok(sorted.with_properties().map(str::to_owned).collect())
}

impl Arguments {
    /// The devices; one without properties is a device all the same.
    fn with_properties(&self) -> impl Iterator<Item = &str> {
        let devices = self.devices.iter().map(String::as_str);
        devices.map(|device| if device.is_empty() { DEFAULT } else { device })
    }

    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let mut sorted = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let value = arguments.peek().and_then(|value| value.to_str());
            match (argument.to_str(), value) {
                (Some("-device" | "--device"), Some(value)) if names_us(value) => {
                    sorted.devices.push(properties(value)?);
                    arguments.next();
                    continue;
                }
                (Some("-device" | "--device"), Some("help" | "?")) => sorted.help = true,
                (Some("-xen-domid"), Some(domain)) => sorted.domain = Some(domain.to_owned()),
                (Some("-incoming"), _) => sorted.incoming = true,
                _ => {}
            }
            sorted.qemu.push(argument);
        }
        Ok(sorted)
    }
}

/// Whether the value of a `-device` is our device.
fn names_us(value: &str) -> bool {
    let (driver, _) = value.split_once(',').unwrap_or((value, ""));
    driver.strip_prefix("driver=").unwrap_or(driver) == DEVICE
}

/// QEMU's properties in the words of `vgpu-stub xen --device`.
fn properties(value: &str) -> Result<String, Failure> {
    let (_, properties) = value.split_once(',').unwrap_or((value, ""));
    let mut own = Vec::new();
    for property in properties
        .split(',')
        .filter(|property| !property.is_empty())
    {
        match property.split_once('=') {
            // It names the device in QEMU alone.
            Some(("id", _)) => {}
            Some(("addr", address)) => own.push(format!("slot={:#x}", slot(address)?)),
            _ => own.push(property.to_owned()),
        }
    }
    let own = own.join(",");
    if !own.is_empty()
        && let Err(cause) = own.parse::<DeviceProperties>()
    {
        return Err(Failure::new(
            format!("-device {value}: {cause}"),
            "see vgpu-stub xen --help for the properties",
        ));
    }
    Ok(own)
}

/// A slot as QEMU's `addr` has it: hexadecimal, with or without 0x, and
/// perhaps the function after a dot.
fn slot(address: &str) -> Result<u8, Failure> {
    let (slot, function) = address.split_once('.').unwrap_or((address, "0"));
    let digits = slot.strip_prefix("0x").unwrap_or(slot);
    u8::from_str_radix(digits, 16)
        .ok()
        .filter(|slot| *slot < 32 && function == "0")
        .ok_or_else(|| {
            Failure::new(
                format!("vgpu-stub: addr={address} is no slot of a PCI bus"),
                "give a slot from 0 to 1f, such as addr=0x18",
            )
        })
}

fn real_qemu() -> Result<PathBuf, Failure> {
    let given = env::var_os(QEMU_VARIABLE).map(PathBuf::from);
    let found = || {
        let mut known = QEMUS.iter().map(PathBuf::from);
        known.find(|path| path.is_file())
    };
    given.or_else(found).ok_or_else(|| {
        Failure::new(
            "there is no QEMU for Xen where distributions put it",
            format!("install it, or name it in the environment variable {QEMU_VARIABLE}"),
        )
    })
}

/// Prints what QEMU has, and ours.
fn help(qemu: &Path, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let output = Command::new(qemu)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            Failure::new(
                format!("cannot run {}: {error}", qemu.display()),
                format!("name the real QEMU in {QEMU_VARIABLE}"),
            )
        })?;
    let mut out = io::stdout().lock();
    // Who closes it has seen enough.
    let _ = out.write_all(&output.stdout);
    let _ = writeln!(out, "\nvgpu-stub, emulated beside QEMU:\n{HELP}");
    Ok(if output.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts the emulator and waits until it answers the domain.
fn start_emulator(domain: &str, sorted: &Arguments) -> Result<(), Failure> {
    let mut arguments: Vec<&OsStr> = vec!["--domid".as_ref(), domain.as_ref()];
    for device in sorted.with_properties() {
        arguments.extend([OsStr::new("--device"), device.as_ref()]);
    }
    // For who looks at the list of processes: ps aux | grep vgpu-stub
    arguments.push("--".as_ref());
    for _ in &sorted.devices {
        arguments.extend([OsStr::new("-device"), OsStr::new(DEVICE)]);
    }
    background::start(&arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from)).map_err(|f| f.cause)
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn our_devices_are_taken_out_and_nothing_else() {
        let sorted = parse(
            "-xen-domid 7 -nodefaults -device vgpu-stub -device cirrus-vga,vgamem_mb=8 \
             -device vgpu-stub,addr=0x19,id=second,bar0-size=64K -name vgpu-stub",
        )
        .unwrap();
        assert_eq!(
            sorted.qemu,
            words("-xen-domid 7 -nodefaults -device cirrus-vga,vgamem_mb=8 -name vgpu-stub")
        );
        assert_eq!(sorted.devices, ["", "slot=0x19,bar0-size=64K"]);
        assert_eq!(sorted.domain.as_deref(), Some("7"));
        assert!(!sorted.incoming && !sorted.help);
    }

    #[test]
    fn qemu_without_our_device_is_left_alone() {
        let line = "-xen-domid 7 -device e1000 -device vgpu-stubborn -incoming fd:9 -device";
        let sorted = parse(line).unwrap();
        assert_eq!(sorted.qemu, words(line));
        assert!(sorted.devices.is_empty() && sorted.incoming);
        assert!(parse("-device help").unwrap().help);
    }

    #[test]
    fn addresses_are_qemu_s() {
        for (address, slot) in [("0x18", 0x18), ("18", 0x18), ("5.0", 5), ("1f", 0x1f)] {
            let sorted = parse(&format!("-device vgpu-stub,addr={address}")).unwrap();
            assert_eq!(sorted.devices, [format!("slot={slot:#x}")], "{address}");
        }
        for address in ["20", "5.1", "x", "", "-1"] {
            let cause = parse(&format!("-device vgpu-stub,addr={address}")).unwrap_err();
            assert!(cause.contains("is no slot"), "{address}: {cause}");
        }
    }

    #[test]
    fn properties_that_cannot_be_are_named() {
        for (properties, reason) in [
            ("bar0-size=3K", "power of two from 4096"),
            ("vendor-id=0", "such as 0x1af4"),
            ("romfile=x", "there is no property 'romfile'"),
            ("on", "is not NAME=VALUE"),
        ] {
            let cause = parse(&format!("-device vgpu-stub,{properties}")).unwrap_err();
            assert!(cause.contains(reason), "{properties}: {cause}");
        }
    }
}
