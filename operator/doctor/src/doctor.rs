//! `vgpu-stub doctor`: why has my VM no device? The guide's checklist, run by
//! a program, on the host or in the guest.

mod arguments;
mod daemon;
mod function;
mod guest;
mod host;
mod no_domain;
mod points;
mod process;
mod qemu;
mod qmp;
mod subject;
mod toolstack;
mod unix_sockets;
mod xapi;
mod xl;

use std::cell::OnceCell;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use vgpu_terminal::Failure;

use crate::check::address::PciAddress;
use crate::check::ids::Ids;
use crate::check::sysfs::Sysfs;
use crate::check::{self};
use guest::Guest;
use host::Host;
use process::Process;
use subject::{Control, Monitor, Subject};
use toolstack::{Kind, Toolstack, Wanted};
use vgpu_checklist::Report;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub doctor --guest                      in the guest
  vgpu-stub doctor --vm web1                    on the host, whatever starts its VMs
  vgpu-stub doctor --domid 5                    on a host with Xen
  vgpu-stub doctor --qmp /run/vm.qmp --control /run/vgpu.control
  vgpu-stub doctor --vm web1 --json | jq '.points[] | select(.verdict != \"ok\")'";

const DETAILS: &str = "\
Each point is ok, a FAULT, or not seen, with the reason. A fault comes with a
mend to type, on the host, in the guest, or as further arguments of QEMU.
Points that make no sense before a fault is mended are not seen. Nothing is
changed by the looking. Who is not root sees less, and is told what.

Exit code:
  0  no point has a fault
  1  a point has a fault
  2  could not run: wrong usage, no such VM, no such socket, a VM of another host

JSON:
  {\"version\": 1, \"subject\": \"…\", \"well\": false,
   \"points\": [{\"id\": \"configured\", \"title\": \"…\", \"guide\": \"2, issue 6\",
     \"verdict\": \"ok\" | \"fault\" | \"not-seen\", \"seen\": [\"…\"],
     \"cause\": null | \"…\",
     \"mend\": [{\"on\": \"host\" | \"guest\" | \"qemu-arguments\", \"type\": \"…\"}]}]}
  All points are there, in order. Fields and points may be added; a change of
  meaning raises the version. docs/troubleshooting.md has the points.";

/// Find out why a VM has no working device, and how to mend it.
#[derive(clap::Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"),
    group(clap::ArgGroup::new("subject").required(true).multiple(true)
        .args(["guest", "vm", "domid", "qmp", "control"])),
)]
pub struct Args {
    /// Examine the guest that this runs in
    #[arg(long, conflicts_with_all = ["vm", "domid", "qmp", "control"])]
    guest: bool,

    /// Examine the VM with this name; on XCP-ng also by its uuid
    #[arg(long, value_name = "NAME", conflicts_with_all = ["domid", "qmp"])]
    vm: Option<String>,

    /// Examine the domain with this number
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "qmp",
        allow_negative_numbers = true
    )]
    domid: Option<u16>,

    /// Examine the VM whose QEMU listens for QMP on this socket
    #[arg(long, value_name = "SOCKET")]
    qmp: Option<PathBuf>,

    /// Ask the emulator too, or alone, on its control socket
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,

    /// In the guest: the device's PCI address [default: by its ids]
    #[arg(long, requires = "guest")]
    address: Option<PciAddress>,

    #[command(flatten)]
    ids: Ids,

    /// The VM's configuration for xl [default: /etc/xen/NAME.cfg]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the guest's console is recorded [default: as QEMU's arguments or
    /// xenconsoled say]
    #[arg(long, value_name = "FILE")]
    console: Option<PathBuf>,

    /// How long a command or a socket may take to answer, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    timeout: u64,

    /// Print JSON in place of lines
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    paths: check::Paths,

    /// The host's files, elsewhere in tests
    #[arg(long, hide = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// Looks at every point and prints the report.
///
/// # Errors
///
/// There is nothing to examine, or the report cannot be printed. A fault is no
/// error: it is in the report, and in the exit code.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let report = if args.guest {
        let sysfs = Sysfs::open(&args.paths.sysfs).ok();
        let guest = Guest::find(
            sysfs.as_ref(),
            &args.ids,
            args.address.as_ref(),
            &args.paths,
        );
        let findings = vgpu_checklist::examine(&guest::points(), &guest);
        Report::new(format!("this guest, device {}", args.ids), findings)
    } else {
        let subject = find(args)?;
        let findings = vgpu_checklist::examine(&points::POINTS, &subject);
        let name = format!("{}, device {}", subject.name, args.ids);
        Report::new(name, findings)
    };
    vgpu_terminal::print("the report", |out| match args.json {
        true => vgpu_terminal::json(out, &report),
        false => report.write(out),
    })?;
    Ok(if report.well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Finds the VM, by whatever names it.
fn find(args: &Args) -> Result<Subject, Failure> {
    let limit = Duration::from_secs(args.timeout);
    let host = Host::new(&args.root, limit);
    for socket in args.qmp.iter().chain(&args.control) {
        there_is(socket)?;
    }
    let processes = Process::all(&host);
    let mut monitor = None;
    let mut qemu = None;
    let mut toolstack = Toolstack::None;
    let wanted = match (&args.vm, args.domid) {
        (Some(name), _) => Some(Wanted::Name(name)),
        (None, domid) => domid.map(Wanted::Domain),
    };
    if let Some(path) = &args.qmp {
        let (pid, answer) = Monitor::ask(path, limit);
        qemu = pid.and_then(|pid| Process::of(&host, pid));
        monitor = Some(answer);
    } else if let Some(wanted) = wanted {
        match (Kind::of(&host), wanted) {
            (Kind::Xl, _) => {
                toolstack = Toolstack::find_xl(&host, wanted, args.config.as_deref())?;
            }
            (Kind::XcpNg, _) => toolstack = Toolstack::find_xcp_ng(&host, wanted)?,
            (Kind::None, Wanted::Name(name)) => {
                let found = qemu_called(&processes, name)?;
                monitor = Monitor::first_that_answers(&arguments::qmp_sockets(&found), &host);
                qemu = Some(found);
            }
            (Kind::None, Wanted::Domain(_)) => {
                return Err(Failure::new(
                    "this is no dom0 of Xen, so it has no domains",
                    "run it in dom0, or name the VM by --vm or --qmp",
                ));
            }
        }
        if let Some(domain) = toolstack.domain() {
            let domain = domain.to_string();
            let is = |it: &&Process| arguments::values(it, "xen-domid").any(|it| it == domain);
            qemu = processes.iter().find(is).cloned();
        }
    }
    let control = args.control.as_ref().map(|path| Control::ask(path, limit));
    let subject = Subject {
        name: name(args, &toolstack),
        ids: args.ids.clone(),
        toolstack,
        console: args.console.clone(),
        qemu,
        monitor,
        control,
        emulators: Vec::new(),
        daemon: None,
        attachment: None,
        xl_config: OnceCell::new(),
        host,
    };
    Ok(subject.complete(&processes))
}

/// What the report says it is about.
fn name(args: &Args, toolstack: &Toolstack) -> String {
    match toolstack {
        Toolstack::Xl { name, domain, .. } => match domain {
            Some(domain) => format!("VM {name}, domain {domain} of Xen"),
            None => format!("VM {name} of Xen, which does not run"),
        },
        Toolstack::XcpNg { uuid, domain } => match domain {
            Some(domain) => format!("VM {uuid}, domain {domain} of XCP-ng"),
            None => format!("VM {uuid} of XCP-ng, which does not run"),
        },
        Toolstack::None => match (&args.vm, &args.qmp, &args.control) {
            (Some(name), _, _) => format!("VM {name} of QEMU"),
            (_, Some(path), _) => format!("VM of the QEMU at {}", path.display()),
            (_, _, path) => {
                let path = path.as_deref().unwrap_or(Path::new("?"));
                format!("emulator at {}", path.display())
            }
        },
    }
}

/// A wrong path is a slip of who types; a socket that nobody listens on is a
/// finding.
fn there_is(socket: &Path) -> Result<(), Failure> {
    let what = match socket.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => "there is no socket",
        // A file is not to be taken for a socket that was left behind, and removed.
        Ok(file) if !file.file_type().is_socket() => "this is no socket:",
        _ => return Ok(()),
    };
    Err(Failure::new(
        format!("{what} {}", socket.display()),
        "give the path of QEMU's -qmp, or of the emulator's --control",
    ))
}

fn qemu_called(processes: &[Process], name: &str) -> Result<Process, Failure> {
    let found = arguments::qemu_of(processes, name).cloned();
    found.ok_or_else(|| {
        Failure::new(
            format!("no QEMU of this host has the name {name:?}"),
            "see ps -ef | grep -- -name; or give --qmp SOCKET",
        )
    })
}
