//! `vgpu-stub cloudstack`: how CloudStack gives its VMs the device.
#![forbid(unsafe_code)]

mod call;
mod extra_config;
mod facts;
mod hypervisor;
mod options;
mod steps;
mod tables;
mod values;
mod version;

use std::process::ExitCode;

use serde::Serialize;
use vgpu_emulator::{DeviceProperties, placed};
use vgpu_terminal::Failure;

use extra_config::ExtraConfig;
use facts::all_hold;
use hypervisor::Hypervisor;
pub use options::Args;
use steps::Step;
use tables::{GIVE, REFUSED, TAKE_AWAY};
use values::Values;

/// What is printed as JSON.
#[derive(Serialize)]
struct Plan {
    /// Raised when a field changes its meaning or goes away.
    version: u32,
    hypervisor: Hypervisor,
    cloudstack_version: String,
    steps: Vec<Step>,
}

/// Prints the steps.
///
/// # Errors
///
/// This CloudStack cannot do it, a property is wrong, or stdout is closed.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    version::check(args.hypervisor, args.cloudstack_version)?;
    if let Some((_, cause, mend)) = REFUSED.iter().find(|(facts, ..)| all_hold(facts, args)) {
        return Err(Failure::new(*cause, *mend));
    }
    let values = Values::new(args, &extra_config(args)?);
    let rows = match args.remove {
        true => TAKE_AWAY.as_slice(),
        false => &GIVE,
    };
    let plan = Plan {
        version: 1,
        hypervisor: args.hypervisor,
        cloudstack_version: args.cloudstack_version.to_string(),
        steps: rows
            .iter()
            .map(|row| Step::new(row, args, &values))
            .collect(),
    };
    vgpu_terminal::print("the steps", |out| match args.json {
        true => vgpu_terminal::json(out, &plan),
        false => (1..)
            .zip(&plan.steps)
            .try_for_each(|(number, step)| step.write(number, out)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What a VM is given.
fn extra_config(args: &Args) -> Result<ExtraConfig, Failure> {
    match (args.hypervisor, &args.vfio_user) {
        (Hypervisor::Xenserver, _) => Ok(ExtraConfig::xenserver()),
        (Hypervisor::Kvm, None) => built_in(&args.device),
        (Hypervisor::Kvm, Some(socket)) => ExtraConfig::vfio_user(socket),
    }
}

/// Devices of a QEMU that has them built in.
fn built_in(given: &[String]) -> Result<ExtraConfig, Failure> {
    let parsed = given.iter().map(|device| {
        device.parse::<DeviceProperties>().map_err(|cause| {
            Failure::new(
                format!("--device {device}: {cause}"),
                "see vgpu-stub xen --help for the properties",
            )
        })
    });
    let placed = placed(&parsed.collect::<Result<Vec<_>, _>>()?)?;
    let words = given.iter().map(String::as_str).chain([""]);
    Ok(ExtraConfig::built_in(
        words.zip(placed.iter().map(|device| device.slot)),
    ))
}
