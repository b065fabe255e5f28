//! `vgpu library`: which `libcuda.so.1` the programs of this machine find.

mod folder;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;

use vgpu_installed::Machine;
use vgpu_terminal::{Failure, json, print};

pub(crate) use folder::{folder, search};
use system::System;

const EXAMPLES: &str = "\
Examples:
  vgpu library status
  vgpu library enable
  vgpu library disable

A program that is started by `vgpu run` finds vgpu's libcuda.so.1 in any case. Others find it where
it is enabled, and then take the device of this user's vgpud.

Exit code: each command's help has its own.";

const STATUS_EXAMPLES: &str = "\
Examples:
  vgpu library status
  vgpu library status --json | jq .others

JSON: found is the libcuda.so.1 that the dynamic linker finds, or null; ours, whether that is
vgpu's; enabled is link, shadow or null; disabled, whether it was disabled by hand; others are the
drivers of others.

Exit code: 0 if programs find vgpu's library, 1 if they do not, 2 if that cannot be told.";

const ENABLE_EXAMPLES: &str = "\
Examples:
  vgpu library enable             as root: by a link in the system's library folder
  vgpu library enable --shadow    before a driver that is there, such as NVIDIA's

A driver that is installed later takes the link's place. With --shadow, the linker is told to look
into vgpu's folder first (/etc/ld.so.conf.d/00-vgpu.conf), whatever is installed later; programs
that look through the system's folders themselves go on finding that driver.

Exit code: 0 if programs find vgpu's library now; 1 if there is another driver, which stays as it
is; 2 if it could not be done.";

const DISABLE_EXAMPLES: &str = "\
Examples:
  vgpu library disable            as root

It stays so through upgrades of the package, until it is enabled again.

Exit code: 0 if vgpu's library is not in the way of others now, 2 if it could not be done.";

/// Show or set which libcuda.so.1 programs find
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(Status),
    Enable(Enable),
    Disable(Disable),
}

/// What each has.
#[derive(Debug, clap::Args)]
struct Common {
    /// The root folder of another system: for tests
    #[arg(long, hide = true, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

/// Show which libcuda.so.1 programs find
#[derive(Debug, clap::Args)]
#[command(after_help = STATUS_EXAMPLES)]
struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    common: Common,
}

/// Have all programs find vgpu's library
#[derive(Debug, clap::Args)]
#[command(after_help = ENABLE_EXAMPLES)]
struct Enable {
    /// Also where there is another driver, which programs do not find then
    #[arg(long)]
    shadow: bool,

    /// As the package does: leave what was chosen by hand, and all where there is another driver
    #[arg(long, hide = true, conflicts_with = "shadow")]
    package: bool,

    #[command(flatten)]
    common: Common,
}

/// Have no program find vgpu's library but by `vgpu run`
#[derive(Debug, clap::Args)]
#[command(after_help = DISABLE_EXAMPLES)]
struct Disable {
    /// As the package does where it is removed: forget what was chosen by hand
    #[arg(long, hide = true)]
    package: bool,

    #[command(flatten)]
    common: Common,
}

/// Where the package has the library.
const INSTALLED: &str = "/usr/lib/vgpu";
/// Another driver is there.
const REFUSED: u8 = 1;

impl Common {
    fn machine(&self) -> Machine {
        Machine::new(self.root.clone().unwrap_or("/".into()))
    }

    /// The folder with the library, as the system's programs see it.
    fn folder(&self) -> Result<PathBuf, Failure> {
        match &self.root {
            Some(_) => Ok(INSTALLED.into()),
            None => folder(None),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Status(args) => status(args),
        Command::Enable(args) => enable(args),
        Command::Disable(args) => {
            let system = System::new(args.common.machine());
            system.disable(!args.package)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn status(args: &Status) -> Result<ExitCode, Failure> {
    let report = System::new(args.common.machine()).report();
    print("what programs find", |out| match args.json {
        true => json(out, &report),
        false => write!(out, "{report}"),
    })?;
    Ok(ExitCode::from(u8::from(!report.ours)))
}

fn enable(args: &Enable) -> Result<ExitCode, Failure> {
    let system = System::new(args.common.machine());
    let folder = args.common.folder()?;
    let others = system.machine().others();
    let other = others.first().map(|path| path.display());
    if args.package {
        let kept = system.enable_as_package(&folder, !others.is_empty())?;
        if let (Some(other), false) = (other, kept) {
            print("what programs find", |out| {
                writeln!(
                    out,
                    "vgpu: programs go on finding {other}; `vgpu run` gives one of them vgpu's \
                     device, and `vgpu library enable --shadow` all"
                )
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(other), false) = (other, args.shadow) {
        let failure = Failure::new(
            format!("there is another driver, which programs would not find any more: {other}"),
            "start programs with `vgpu run`, or have vgpu's library found before it: vgpu library enable --shadow",
        );
        return Err(failure.with_code(REFUSED));
    }
    match args.shadow {
        true => system.shadow(&folder)?,
        false => system.link(&folder)?,
    }
    Ok(ExitCode::SUCCESS)
}
