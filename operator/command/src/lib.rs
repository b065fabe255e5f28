//! The `vgpu-stub` command. Each subcommand has its own module.
//!
//! It is a library so that manual pages and shell completions are made of its
//! own definition.
#![forbid(unsafe_code)]

mod ctl;
mod device;
mod emulator;
mod vfio_user;
mod xen;

use std::env::{self, ArgsOs};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use vgpu_terminal::Failure;
use vgpu_xl::{device_model, xl_config};

const EXAMPLES: &str = "\
Examples:
  vgpu-stub doctor --vm web1                        on a host
  vgpu-stub check                                   in a guest
  vgpu-stub xl-config --file /etc/xen/web1.cfg      Xen with xl
  vgpu-stub xcp enable web1                         XCP-ng
  vgpu-stub vfio-user --socket /run/vgpu.sock       QEMU 10.1 or later

Exit code: each command's help has its own; 2 is always that it could not run.";

/// A virtual GPU PCI device for virtual machines.
#[derive(Parser)]
#[command(
    after_help = EXAMPLES,
    name = "vgpu-stub",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(vgpu_doctor::check::Args),
    Cloudstack(vgpu_cloudstack::Args),
    Ctl(ctl::Args),
    Doctor(vgpu_doctor::doctor::Args),
    Qemu(vgpu_qemu_install::Args),
    VfioUser(vfio_user::Args),
    Xcp(vgpu_xcp_ng::Args),
    Xen(xen::Args),
    XlConfig(xl_config::Args),
}

/// What this program is, where it is started by another name than its own.
type Role = fn(ArgsOs) -> ExitCode;

/// The ends of the paths of such names.
const ROLES: [(&str, Role); 3] = [
    (device_model::NAME, device_model::main),
    (vgpu_xcp_ng::shim::NAME, vgpu_xcp_ng::shim::main),
    (vgpu_xcp_ng::plugin::NAME, vgpu_xcp_ng::plugin::main),
];

/// The same as [`run`] on a host of XCP-ng whose files are below a folder, for
/// tests. The program that is installed has no way here.
#[doc(hidden)]
#[must_use]
pub fn run_below(root: PathBuf) -> ExitCode {
    vgpu_xcp_ng::set_root(root);
    run()
}

/// Does what the arguments of this process ask for.
#[must_use]
pub fn run() -> ExitCode {
    let mut arguments = env::args_os();
    let name = PathBuf::from(arguments.next().unwrap_or_default());
    if let Some((_, role)) = ROLES.iter().find(|(end, _)| name.ends_with(end)) {
        return role(arguments);
    }
    let done = Cli::try_parse()
        .map_err(|error| misused(&error))
        .and_then(|cli| subcommand(cli.command));
    done.unwrap_or_else(|failure| failure.report())
}

/// Prints help or the version where these were asked for, and ends; else, clap's report in two lines.
fn misused(error: &clap::Error) -> Failure {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    Failure::of_usage(&error.to_string())
}

fn subcommand(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(args) => vgpu_doctor::check::run(&args),
        Command::Cloudstack(args) => vgpu_cloudstack::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Doctor(args) => vgpu_doctor::doctor::run(&args),
        Command::Qemu(args) => vgpu_qemu_install::run(&args),
        Command::VfioUser(args) => vfio_user::run(&args),
        Command::Xcp(args) => vgpu_xcp_ng::run(&args),
        Command::Xen(args) => xen::run(&args),
        Command::XlConfig(args) => xl_config::run(&args),
    }
}

/// The definition of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
