//! The suite as a program inside a Linux guest: config space through the
//! ports 0xCF8 and 0xCFC, BAR0 through sysfs. Run as root, on a device that no
//! driver uses: the suite writes to all of it.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use vgpu_conformance::guest::{Address, Guest};
use vgpu_conformance::{Identity, Outcome, run_some};
use vgpu_pci::capability::PortType;

/// Runs the conformance suite on a device of this machine.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  vgpu-conformance 0000:00:05.0\n  vgpu-conformance 0000:00:05.0 'data region'\n\nExit code: 0 if every case passed or was skipped, 1 if one failed, 2 if the suite could not run."
)]
struct Options {
    /// PCI address of the device, as lspci -D prints it
    address: Address,

    /// Run the cases alone whose names start like this
    #[arg(default_value = "", hide_default_value = true)]
    case: String,

    /// The device sits behind a root port, not on a root bus
    #[arg(long)]
    behind_port: bool,

    /// The device sits below a bridge from PCI Express to conventional PCI
    #[arg(long, conflicts_with = "behind_port")]
    conventional: bool,

    /// QEMU reaches the device by vfio
    #[arg(long)]
    by_vfio: bool,

    /// The device has features
    #[arg(long)]
    features: bool,

    /// Size of BAR0 in bytes
    #[arg(long, default_value_t = Identity::default().bar0_size)]
    bar0_size: u32,
}

fn main() -> ExitCode {
    match conformance(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("vgpu-conformance: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn conformance(options: &Options) -> Result<bool> {
    let identity = Identity {
        port_type: match (options.behind_port, options.conventional) {
            (true, _) => Some(PortType::Endpoint),
            (_, true) => None,
            _ => Some(PortType::RootComplexIntegratedEndpoint),
        },
        by_vfio: options.by_vfio,
        bar0_size: options.bar0_size,
        features: options.features,
        ..Identity::default()
    };
    let mut guest = Guest::open(options.address, options.bar0_size)?;
    let reports = run_some(&mut guest, &identity, |case| {
        case.name.starts_with(&options.case)
    });
    ensure!(
        !reports.is_empty(),
        "no case starts with {:?}",
        options.case
    );
    for report in &reports {
        println!("{report}");
    }
    Ok(!reports
        .iter()
        .any(|report| matches!(report.outcome, Outcome::Failed(_))))
}
