//! `vgpu-stub xl-config`: what to add to a domain's configuration.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::device_properties::{DeviceProperties, as_qemu};
use crate::failure::{Failure, OrMend};

/// Where the device model that xl starts is installed.
pub(crate) const DEVICE_MODEL: &str = "/usr/lib/vgpu-stub/vgpu-stub-device-model";

const EXAMPLES: &str = "\
Examples:
  vgpu-stub xl-config >>/etc/xen/vm.cfg
  vgpu-stub xl-config --device slot=0x1a,bar0-size=64K --device revision=2

Exit code: 0 if they were printed, 2 otherwise.";

/// Print the lines that give a domain of xl the device.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Properties of a device, as for 'vgpu-stub xen'; may be repeated
    /// [default: one device in slot 0x18]
    #[arg(long, value_name = "NAME=VALUE,…")]
    device: Vec<String>,

    /// The device model that xl starts: a link of this name to vgpu-stub
    #[arg(
        long,
        value_name = "PATH",
        default_value = DEVICE_MODEL
    )]
    device_model: PathBuf,
}

/// Prints the lines.
///
/// # Errors
///
/// A property is wrong, or stdout is closed.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    // xl has no other way to write a string, and looks from a folder of its own.
    let model = args.device_model.to_str();
    let model = model.filter(|path| path.starts_with('/') && !path.contains(['"', '\n']));
    let model = model.ok_or_else(|| {
        Failure::new(
            format!(
                "--device-model {:?} is no full path of plain text",
                args.device_model
            ),
            format!("give a path such as {DEVICE_MODEL}"),
        )
    })?;
    let mut words = Vec::new();
    for device in &args.device {
        let properties: DeviceProperties = device.parse().map_err(|cause| {
            Failure::new(
                format!("--device: {cause}"),
                "see vgpu-stub xen --help for the properties",
            )
        })?;
        let words_of_qemu = if properties.places_itself {
            as_qemu(device, &properties.config)
        } else {
            device.clone()
        };
        words.push(format!("vgpu-stub,{words_of_qemu}"));
    }
    if words.is_empty() {
        words.push("vgpu-stub".to_owned());
    }
    let arguments: Vec<String> = words
        .iter()
        .map(|word| format!("\"-device\", \"{word}\""))
        .collect();
    let text = format!(
        "device_model_version = \"qemu-xen\"\n\
         device_model_override = \"{model}\"\n\
         device_model_args = [ {} ]\n",
        arguments.join(", ")
    );
    io::stdout()
        .write_all(text.as_bytes())
        .or_mend("give the command an output that takes it")?;
    Ok(ExitCode::SUCCESS)
}
