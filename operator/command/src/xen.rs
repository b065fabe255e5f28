//! `vgpu-stub xen`: emulates devices for a guest of Xen, in dom0.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use vgpu_emulator::{Call, DeviceProperties, FAILED, XenCall, placed};
use vgpu_terminal::Failure;
use vgpu_xen::{Options, clean_up, control_path};
use xen_dm::DomainId;

use crate::device::{self, Trace};
use crate::emulator;

/// The domain that this program runs in.
const BACKEND: DomainId = DomainId::DOM0;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub xen --domid 5
  vgpu-stub xen --domid 5 --device slot=0x18 --device slot=0x19,bar0-size=64K
  vgpu-stub xen --domid 5 --control /run/vgpu.control
  vgpu-stub xen --domid 5 --clean-up

A guest finds the device where its emulator runs before the guest does:
  xl create -p vm.cfg
  systemd-run -p Type=notify vgpu-stub xen --domid $(xl domid vm)
  xl unpause vm";

const DETAILS: &str = "\
Run it in dom0, as root. It makes one ioreq server of the domain for all its
devices, beside that of the domain's QEMU, which needs no change. It ends when
the domain is gone. Once the guest is answered, this line is printed, and
systemd notified:
  vgpu-stub xen: ready for domain N

Two processes do the work. This one keeps xenstore in order, and starts the
other one again where it dies; the guest then waits a moment and loses nothing.
The other one answers the guest. It can reach that domain alone, as a user of
its own, and may make few system calls.

Where both are killed, a guest that asks its device waits, until the same
command is given again, which goes on with all registers, or --clean-up, which
takes the device away.

Properties of --device, each device's in one list:
{properties}

In xenstore, each device has /local/domain/N/device/vgpu/I and
/local/domain/0/backend/vgpu/N/I. They are removed at the end.

Exit code:
  0  the domain is gone, or the end was asked for by a signal or 'ctl shutdown'
  2  could not run, or the device had to be given up";

fn help() -> String {
    let details = DETAILS.replace("{properties}", &device::of_placed_device());
    format!("{EXAMPLES}\n\n{details}")
}

/// Ids that guests may have: all below `DOMID_FIRST_RESERVED` of Xen's
/// `xen/include/public/xen.h`, but dom0's.
const DOMAINS: RangeInclusive<u64> = 1..=0x7fef;

/// Where the user ids begin by default. Nobody else uses those from here to
/// `UID_BASE` + 0x7fef: they are above the blocks of `useradd`, from 100000 to
/// 600100000, those of systemd's containers, to 1879048191, and those that
/// SSSD gives to users of a directory, to 2000200000; and below systemd's
/// foreign ids, from 2147352576 (systemd's `docs/UIDS-GIDS.md`).
const UID_BASE: u32 = 2_013_265_920;

/// So that no domain's user is a system's or a usual one, nor -1, which changes
/// no id.
const UID_BASES: RangeInclusive<u64> = 0x1_0000..=0xffff_fffe - *DOMAINS.end();

/// A number within these bounds. `clap`'s own parser of ranges is larger.
fn within(text: &str, bounds: &RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        format!(
            "expected a number from {} to {}",
            bounds.start(),
            bounds.end()
        )
    })
}

fn domain(text: &str) -> Result<u16, String> {
    within(text, &DOMAINS).map(|number| number as u16) // at most 0x7fef
}

fn uid_base(text: &str) -> Result<u32, String> {
    within(text, &UID_BASES).map(|number| number as u32) // at most 0xffff_fffe
}

/// Emulate the device for a guest of Xen, in dom0.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = help())]
pub(crate) struct Args {
    /// The domain's number, as xl list shows it
    #[arg(long, value_name = "N", value_parser = domain, allow_negative_numbers = true)]
    domid: u16,

    /// Remove what an emulator of the domain has left that was killed with all
    /// its processes, and end. No vCPU waits for it then
    #[arg(long, conflicts_with_all = ["device", "control", "trace", "uid_base"])]
    clean_up: bool,

    /// Properties of a device, such as slot=0x18,bar0-size=64K; may be repeated
    /// [default: one device in slot 0x18]
    #[arg(long, value_name = "NAME=VALUE,…")]
    device: Vec<DeviceProperties>,

    /// A socket for 'vgpu-stub ctl', for root alone
    /// [default: /run/vgpu-stub/xen-N/control.sock]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Show in the log what the guest does; the log takes 100 lines per second
    #[arg(long, value_enum)]
    trace: Option<Trace>,

    /// The process that answers the guest runs as user id BASE + N
    #[arg(
        long,
        value_name = "BASE",
        default_value_t = UID_BASE,
        value_parser = uid_base,
        allow_negative_numbers = true
    )]
    uid_base: u32,

    /// Run in a session of its own, and say on stdout why it cannot
    #[arg(long, hide = true)]
    detached: bool,

    /// Ignored: words for who looks at the list of processes
    #[arg(last = true, hide = true)]
    shown: Vec<OsString>,
}

/// Becomes the emulator of a domain, or cleans up after one.
///
/// # Errors
///
/// There is no such program, or what is to be cleaned up cannot be.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let domain = DomainId(args.domid);
    if args.clean_up {
        clean_up(domain, BACKEND).map_err(|error| Failure::new(error.to_string(), error.mend()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Err(failure) = emulate(args, domain);
    if args.detached {
        // Who started it waits for a line.
        let _ = writeln!(io::stdout(), "{FAILED}{}", failure.cause);
    }
    Err(failure)
}

/// Becomes the emulator.
fn emulate(args: &Args, domain: DomainId) -> Result<Infallible, Failure> {
    let options = Options {
        domain,
        backend: BACKEND,
        devices: placed(&args.device)?,
        control: args.control.clone().unwrap_or_else(|| control_path(domain)),
        trace: args.trace.is_some(),
        uid_base: args.uid_base,
    };
    emulator::run(&Call::Xen(XenCall {
        options,
        serving: false,
        detached: args.detached,
        shown: args.shown.clone(),
    }))
}
