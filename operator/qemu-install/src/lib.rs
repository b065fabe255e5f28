//! `vgpu-stub qemu`: puts a QEMU that has the device in place of the host's,
//! and takes it back.
#![forbid(unsafe_code)]

/// Tells the user what is done. That nobody hears it undoes nothing.
macro_rules! say {
    ($($word:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($word)*);
    }};
}

mod install;
mod place;
mod probe;
mod program;
mod rollback;
mod state;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use vgpu_terminal::{Failure, OrMend};

use place::Place;
use program::Programs;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub qemu install --from ./qemu-system-x86_64 --dry-run
  vgpu-stub qemu install --from ./qemu-system-x86_64 --to /usr/lib/xen/bin/qemu-system-i386
  vgpu-stub qemu status
  vgpu-stub qemu rollback";

const DETAILS: &str = "\
A QEMU is installed only where it starts, lists the device, and has Xen where
the old one had it. The old one is kept beside it, byte for byte:
  QEMU.vgpu-stub-backup   the old one, until it is rolled back
  QEMU.vgpu-stub-record   which one was put in place of which (SHA-256)
VMs that run keep their QEMU; the new one is that of VMs that start.

Without --to, it is the QEMU that Xen's toolstacks start.

Exit code:
  0  done, or there was nothing to do
  1  status: not as it should be
  2  refused, wrong usage, or it could not be done; nothing was changed";

const INSTALL: &str = "\
Examples:
  vgpu-stub qemu install --from ./qemu-system-x86_64 --dry-run
  vgpu-stub qemu install --from ./qemu-system-x86_64 --to /usr/lib/xen/bin/qemu-system-i386

Exit code: 0 if it is in place, 2 if it was refused, and nothing was changed.";

const ROLLBACK: &str = "\
Examples:
  vgpu-stub qemu rollback
  vgpu-stub qemu rollback --to /usr/lib/xen/bin/qemu-system-i386 --dry-run

Exit code: 0 if the old one is in place, 2 if it was refused, and nothing was changed.";

const STATUS: &str = "\
Examples:
  vgpu-stub qemu status
  vgpu-stub qemu status --json | jq -r .state

JSON:
  {\"version\": 1, \"target\": \"…\", \"state\": \"installed\", \"qemu\": \"QEMU emulator version …\",
   \"has_device\": true, \"backup\": \"…\", \"backup_qemu\": \"QEMU emulator version …\"}
state is untouched, installed, interrupted, changed or broken; what is unknown
is null.

Exit code: 0 if it is as it should be, 1 if not, 2 if it could not be told.";

/// Put a QEMU that has the device in place of the host's, and take it back.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Put a QEMU in place of another, which is kept
    #[command(after_help = INSTALL)]
    Install {
        /// The QEMU that has the device
        #[arg(long, value_name = "BUILT")]
        from: PathBuf,
        #[command(flatten)]
        target: Target,
        /// Check it, and say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Put the old QEMU back
    #[command(after_help = ROLLBACK)]
    Rollback {
        #[command(flatten)]
        target: Target,
        /// Also where the installed QEMU has been replaced since, as by an update
        /// of its package
        #[arg(long)]
        force: bool,
        /// Say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell which QEMU is in place
    #[command(after_help = STATUS)]
    Status {
        #[command(flatten)]
        target: Target,
        /// Print JSON in place of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args, Debug)]
struct Target {
    /// The QEMU that is to be replaced, or was
    #[arg(long, value_name = "QEMU")]
    to: Option<PathBuf>,
}

/// Installs, rolls back, or tells.
///
/// # Errors
///
/// A check failed or a file cannot be had. Nothing is changed then.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let programs = Programs::new().or_mend("see that limits on open files leave room")?;
    match &args.command {
        Command::Install {
            from,
            target,
            dry_run,
        } => {
            let place = Place::find(target.to.as_deref())?;
            install::run(from, &place, &programs, *dry_run)?;
        }
        Command::Rollback {
            target,
            force,
            dry_run,
        } => {
            let place = Place::find(target.to.as_deref())?;
            rollback::run(&place, *force, *dry_run)?;
        }
        Command::Status { target, json } => {
            let place = Place::find(target.to.as_deref())?;
            return status::run(&place, &programs, *json);
        }
    }
    Ok(ExitCode::SUCCESS)
}
