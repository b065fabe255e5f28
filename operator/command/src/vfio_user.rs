//! `vgpu-stub vfio-user`: serves the device to stock QEMU.

use std::path::PathBuf;
use std::process::ExitCode;

use uuid::Uuid;
use vgpu_device::DeviceConfig;
use vgpu_emulator::number::socket_mode;
use vgpu_emulator::{Call, DeviceProperties};
use vgpu_terminal::Failure;
use vgpu_vfio_user::{LinkOptions, Options};

use crate::device::{self, Trace};
use crate::emulator;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub vfio-user --socket /run/vgpu.sock
  vgpu-stub vfio-user --socket /run/vgpu.sock --control /run/vgpu.control
  vgpu-stub vfio-user --socket /run/vgpu.sock --device bar0-size=64K,revision=2
  vgpu-stub vfio-user --socket /run/vgpu.sock --device features=on \\
    --link /run/vgpu/link --machine 6f9619ff-8b86-d011-b42d-00c04fc964ff

Then, with QEMU 10.1 or later:
  qemu-system-x86_64 … -machine q35,memory-backend=ram \\
    -object memory-backend-memfd,id=ram,size=4G,share=on \\
    -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"/run/vgpu.sock\"}}'";

const DETAILS: &str = "\
One VM at a time has the device; when it ends, the next may connect, and finds
the device in its power-on state. When the server ends, the VM goes on, and its
guest reads all ones from the device. A second process, vfio-user-guard, sees to
it that QEMU outlives a server that is killed.

Once the socket takes connections, this line is printed, and systemd notified:
  vgpu-stub vfio-user: ready on PATH
SIGTERM, SIGINT and SIGHUP end the server in order: its sockets are removed.

Properties of --device, as of QEMU's -device vgpu-stub:
{properties}

Exit code:
  0  ended by a signal or by 'vgpu-stub ctl shutdown'
  2  could not run: wrong usage, or a socket that cannot be had";

fn help() -> String {
    let details = DETAILS.replace("{properties}", &device::of_device());
    format!("{EXAMPLES}\n\n{details}")
}

/// Serve the device to stock QEMU or Cloud Hypervisor, by vfio-user.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = help())]
pub(crate) struct Args {
    /// The socket that QEMU connects to; made here, and removed at the end
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,

    /// Permissions of that socket, in octal; who may connect is the VM
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = socket_mode)]
    socket_mode: u32,

    /// A socket for 'vgpu-stub ctl', for this user alone
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    /// Properties of the device, such as bar0-size=64K,revision=2
    #[arg(long, value_name = "NAME=VALUE,…")]
    device: Option<DeviceProperties>,

    /// Where the daemon listens that serves the device's channels, with --device features=on
    #[arg(long, value_name = "PATH", requires = "machine")]
    link: Option<PathBuf>,

    /// The machine that it is asked to serve, as its configuration names it
    #[arg(long, value_name = "UUID", requires = "link")]
    machine: Option<Uuid>,

    /// Show in the log what the guest does; the log takes 100 lines per second
    #[arg(long, value_enum)]
    trace: Option<Trace>,
}

/// Becomes the server.
///
/// # Errors
///
/// A property that means nothing here, or there is no such program.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args
        .device
        .as_ref()
        .is_some_and(|device| device.slot.is_some())
    {
        return Err(Failure::new(
            "--device slot=… has no meaning here: QEMU chooses the slot",
            "leave it out, and give QEMU's -device \"addr\":\"SLOT\"",
        ));
    }
    if args.control.as_ref() == Some(&args.socket) {
        return Err(Failure::new(
            "--socket and --control are the same path",
            "give each socket a path of its own",
        ));
    }
    let link = args.link.clone().zip(args.machine);
    let link = link.map(|(socket, machine)| LinkOptions {
        socket,
        machine: machine.into_bytes(),
    });
    let features = args.device.as_ref().and_then(|it| it.config.features);
    if link.is_some() && features.is_none() {
        return Err(Failure::new(
            "--link has no meaning for a device without features",
            "add features=on to --device, or leave --link out",
        ));
    }
    let options = Options {
        socket: args.socket.clone(),
        socket_mode: args.socket_mode,
        control: args.control.clone(),
        device: args
            .device
            .as_ref()
            .map_or_else(DeviceConfig::default, |device| device.config),
        trace: args.trace.is_some(),
        link,
    };
    match emulator::run(&Call::VfioUser(options))? {}
}
