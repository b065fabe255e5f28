//! The program that `xl` starts as a domain's device model: it takes the
//! project's devices out of QEMU's arguments, starts their emulator, and
//! becomes the real QEMU, which never hears of them.

use std::env::{self, ArgsOs};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use vgpu_terminal::Failure;

use super::background;
use super::device_arguments::{self, DEVICE, properties};
use crate::device_option::{DeviceOption, is_help};

/// The name by which this program knows what it is to be.
pub const NAME: &str = "vgpu-stub-device-model";

/// Names the real QEMU where it is none of [`QEMUS`].
const QEMU_VARIABLE: &str = "VGPU_STUB_QEMU";

/// Where distributions and Xen itself put the QEMU that xl would start.
pub const QEMUS: [&str; 8] = [
    "/usr/libexec/xen-qemu-system-i386",
    "/usr/lib/xen/bin/qemu-system-i386",
    "/usr/libexec/xen/bin/qemu-system-i386",
    "/usr/lib64/xen/bin/qemu-system-i386",
    "/usr/local/lib/xen/bin/qemu-system-i386",
    "/usr/local/libexec/xen/bin/qemu-system-i386",
    "/usr/bin/qemu-system-i386",
    "/usr/bin/qemu-system-x86_64",
];

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
    /// Whether it is asked for the properties of ours.
    help_on_ours: bool,
}

/// Acts as the device model that `xl` has started.
pub fn main(arguments: ArgsOs) -> ExitCode {
    run(arguments).unwrap_or_else(|failure| failure.report_cause_last())
}

/// It fails where the emulator or QEMU cannot be started.
fn run(arguments: impl Iterator<Item = OsString>) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(arguments)?;
    if arguments.help_on_ours {
        return Ok(help_on_ours());
    }
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
/// takes them; one without properties is a device all the same.
///
/// # Errors
///
/// A property cannot be.
pub fn devices(arguments: Vec<String>) -> Result<Vec<String>, Failure> {
    let sorted = Arguments::parse(arguments.into_iter().map(OsString::from))?;
    Ok(sorted.with_properties().map(str::to_owned).collect())
}

/// The values of `-device` that are ours, among arguments of QEMU.
#[must_use]
pub fn named(arguments: &[String]) -> Vec<&str> {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let values = pairs.filter(|(option, _)| matches!(option.as_str(), "-device" | "--device"));
    let values = values.map(|(_, value)| value.as_str());
    values
        .filter(|value| !matches!(ours(value), Ok(None)))
        .collect()
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
            let value = arguments.peek().map(|value| value.to_string_lossy());
            match (argument.to_str(), value.as_deref()) {
                (Some("-device" | "--device"), Some(value)) => {
                    if let Some(option) = ours(value)? {
                        sorted.help_on_ours |= option.help;
                        sorted.devices.push(properties(value, &option)?);
                        arguments.next();
                        continue;
                    }
                    sorted.help |= is_help(value);
                }
                (Some("-xen-domid"), Some(domain)) => sorted.domain = Some(domain.to_owned()),
                (Some("-incoming"), _) => sorted.incoming = true,
                _ => {}
            }
            sorted.qemu.push(argument);
        }
        Ok(sorted)
    }
}

/// The option, if the value of a `-device` is our device.
fn ours(value: &str) -> Result<Option<DeviceOption>, Failure> {
    match DeviceOption::parse(value) {
        Some(option) => Ok((option.driver() == Some(DEVICE)).then_some(option)),
        // It may be ours, and QEMU would not say so.
        None if value.contains(DEVICE) => Err(Failure::new(
            format!("-device {value}: not a JSON object"),
            format!("write it as JSON, or as -device {DEVICE},NAME=VALUE,…"),
        )),
        None => Ok(None),
    }
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

/// Prints the properties that ours has, as QEMU does for a device.
fn help_on_ours() -> ExitCode {
    let mut out = io::stdout().lock();
    // Who closes it has seen enough.
    let _ = writeln!(out, "{DEVICE} options:");
    for property in device_arguments::all() {
        let _ = writeln!(out, "  {}=<{}>", property.name, property.takes);
    }
    ExitCode::SUCCESS
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
    fn our_device_is_found_however_it_is_written() {
        for value in [
            "vgpu-stub,addr=0x19",
            "driver=vgpu-stub,addr=0x19",
            "addr=0x19,driver=vgpu-stub",
            "e1000,addr=0x19,driver=vgpu-stub",
            r#"{"addr":"19","driver":"vgpu-stub"}"#,
        ] {
            let sorted = parse(&format!("-device {value}")).unwrap();
            assert_eq!(sorted.devices, ["slot=0x19"], "{value}");
            assert!(sorted.qemu.is_empty(), "{value}");
        }
        for value in [
            "vgpu-stub,driver=e1000",
            "e1000,id=vgpu-stub",
            "{'driver':'e1000'}",
        ] {
            let line = format!("-device {value}");
            assert_eq!(parse(&line).unwrap().qemu, words(&line));
        }
        let cause = parse("-device {'driver':'vgpu-stub'}").unwrap_err();
        assert!(cause.contains("not a JSON object"), "{cause}");
        assert!(parse("-device vgpu-stub,help").unwrap().help_on_ours);
        assert!(parse("-device vgpu-stub,addr=5,?").unwrap().help_on_ours);
    }
}
