//! `vgpu-stub check`: tests, inside a Linux guest, that the device is all
//! that step 1 of the project asks for.

pub(crate) mod address;
pub(crate) mod bar;
pub(crate) mod config;
pub(crate) mod identity;
pub(crate) mod ids;
pub(crate) mod kernel_log;
mod probe;
pub(crate) mod report;
mod resource;
mod state;
pub(crate) mod sysfs;
mod table;
mod undo;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use address::PciAddress;
use ids::Ids;
use kernel_log::KernelLog;
use report::{Criterion, Device, Report};
use sysfs::{Function, Sysfs};
use vgpu_terminal::{Failure, OrMend};

const SYSFS: &str = "/sys";

/// Why a criterion is skipped where nothing was found.
const NO_DEVICE: &str = "no device";

const EXAMPLES: &str = "\
Examples:
  vgpu-stub check                            every vGPU of this VM
  vgpu-stub check --address 0000:00:05.0     this one alone
  vgpu-stub check --read-only                leave drivers and registers alone
  vgpu-stub check --json | jq .holds         for scripts";

const DETAILS: &str = "\
What is changed for a moment, and put back: the driver of the device, its
driver_override, enable count and Command register, and its Request ID
register. The device is also removed from the bus and found again by a rescan,
after which the kernel may give its BAR another address. None of this is done
with --read-only, nor to a function whose ids are not the expected ones.

Exit code:
  0  every criterion holds
  1  a criterion fails
  2  the check could not run: wrong usage, not root, no sysfs

JSON:
  {\"version\": 1, \"vendor_id\": \"1af4\", \"device_id\": \"1111\",
   \"read_only\": false, \"holds\": true,
   \"devices\": [{\"address\": \"0000:00:05.0\",
     \"criteria\": [{\"number\": 1, \"name\": \"…\",
       \"verdict\": \"pass\" | \"fail\" | \"skipped\",
       \"evidence\": [\"…\"], \"cause\": null | \"…\", \"mend\": null | \"…\"}]}]}
  Each device has all seven criteria, in order. Where no device is found,
  devices has one entry, whose address is null. Fields may be added; a change
  of meaning raises the version.";

/// Test a VM's vGPU against the seven success criteria.
///
/// Run it as root inside the guest. It needs nothing but /sys and /dev/kmsg.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub struct Args {
    /// PCI address of the device, such as 00:05.0 [default: every device with
    /// the ids]
    #[arg(long)]
    address: Option<PciAddress>,

    #[command(flatten)]
    ids: Ids,

    /// Leave out all that changes state
    #[arg(long)]
    read_only: bool,

    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    paths: Paths,
}

/// What the check finds in the guest, elsewhere in tests.
#[derive(clap::Args, Debug)]
pub(crate) struct Paths {
    /// Where sysfs is mounted
    #[arg(long, hide = true, value_name = "DIR", default_value = SYSFS)]
    pub(crate) sysfs: PathBuf,

    /// The kernel log
    #[arg(long, hide = true, value_name = "FILE", default_value = "/dev/kmsg")]
    pub(crate) kernel_log: PathBuf,

    /// The program that loads kernel modules
    #[arg(
        long,
        hide = true,
        value_name = "FILE",
        default_value = "/sbin/modprobe"
    )]
    modprobe: PathBuf,
}

/// Tests every criterion and prints the report.
///
/// # Errors
///
/// The check could not run. A criterion that fails is no error: it is in the
/// report, and in the exit code.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.paths.sysfs == Path::new(SYSFS) && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "not root: the device's registers and the kernel log are closed to others",
            "run it as root, such as with sudo",
        ));
    }
    let sysfs = Sysfs::open(&args.paths.sysfs)
        .or_mend("run it in a guest that has a PCI bus, with sysfs mounted on /sys")?;

    let report = examine(&sysfs, args)?;
    vgpu_terminal::print("the report", |out| match args.json {
        true => vgpu_terminal::json(out, &report),
        false => table::write(out, &report),
    })?;
    Ok(if report.holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn examine(sysfs: &Sysfs, args: &Args) -> Result<Report, Failure> {
    let functions = find(sysfs, args).or_mend("see that /sys/bus/pci/devices is readable")?;
    let mut devices: Vec<Device> = if functions.is_empty() {
        vec![absent(args)]
    } else {
        let devices = functions.iter().map(|function| Device {
            address: Some(function.address().clone()),
            criteria: examine_function(function, args),
        });
        devices.collect()
    };

    // The log comes last: what the kernel says of the probing counts too.
    for device in &mut devices {
        let criterion = match &device.address {
            Some(address) => Criterion::judge(6, |evidence| {
                let log = KernelLog::read(&args.paths.kernel_log)
                    .or_mend("run it where the guest's own /dev is mounted")?;
                kernel_log::check(&log, address, evidence)
            }),
            None => Criterion::skipped(6, NO_DEVICE),
        };
        device.criteria.push(criterion);
        device.criteria.sort_by_key(|criterion| criterion.number);
    }
    Ok(Report::new(&args.ids, args.read_only, devices))
}

/// The functions to look at: the one at the address given, or those whose ids
/// are the expected ones.
fn find<'a>(sysfs: &'a Sysfs, args: &Args) -> anyhow::Result<Vec<Function<'a>>> {
    let mut functions = sysfs.functions()?;
    functions.retain(|function| match &args.address {
        Some(address) => function.address() == address,
        None => args.ids.match_sysfs(function),
    });
    Ok(functions)
}

fn absent(args: &Args) -> Device {
    let first = Criterion::judge(1, |_| {
        let sought = match &args.address {
            Some(address) => format!("PCI function at {address}"),
            None => format!("PCI function has the ids {}", args.ids),
        };
        Err(Failure::new(
            format!("no {sought}"),
            "attach the device to this VM on the host, then look again",
        ))
    });
    let rest = [2, 3, 4, 5, 7].map(|number| Criterion::skipped(number, NO_DEVICE));
    Device {
        address: None,
        criteria: [first].into_iter().chain(rest).collect(),
    }
}

/// All criteria but the kernel log's.
fn examine_function(function: &Function<'_>, args: &Args) -> Vec<Criterion> {
    let ids = &args.ids;
    let present = Criterion::judge(1, |evidence| {
        evidence.note(function.path().display());
        Ok(())
    });
    let vendor = Criterion::judge(2, |evidence| ids.check_vendor(function, evidence));
    let device = Criterion::judge(3, |evidence| ids.check_device(function, evidence));
    let class = Criterion::judge(4, |evidence| identity::check_class(function, evidence));

    // Nobody's disk shall lose its driver to a wrong --address.
    let hands_off = if args.read_only {
        Some("read-only")
    } else if vendor.passes() && device.passes() {
        None
    } else {
        Some("ids differ")
    };
    let bar = Criterion::judge(5, |evidence| {
        bar::check_description(function, evidence)?;
        match hands_off {
            None => bar::check_access(function, evidence),
            Some(reason) => {
                evidence.note(format!("skipped ({reason}): enable, Request ID"));
                Ok(())
            }
        }
    });
    let probe = match hands_off {
        None => Criterion::judge(7, |evidence| {
            probe::check(function, &args.paths.modprobe, evidence)
        }),
        Some(reason) => Criterion::skipped(7, reason),
    };
    vec![present, vendor, device, class, bar, probe]
}
