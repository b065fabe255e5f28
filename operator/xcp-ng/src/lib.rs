//! The kit for XCP-ng: what XAPI and xenopsd start, and `vgpu-stub xcp`, by
//! which an administrator gives a VM the device.
//!
//! xenopsd starts [`shim`] in place of the program that builds a domain, where
//! a VM's `platform:xenguest` says so. `hooks` come before a VM's start and
//! after its end, and [`plugin`] answers other hosts of the pool.
#![forbid(unsafe_code)]

mod flag;
mod hooks;
mod host;
mod list;
mod name;
pub mod plugin;
mod running;
mod settings;
pub mod shim;
mod uuid;
mod xe;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use vgpu_terminal::Failure;

pub use self::uuid::Uuid;
use host::Host;
pub use xe::Xe;

/// What is missing or broken of the kit on the host whose files are in this
/// folder, a line each.
#[must_use]
pub fn problems(root: &Path) -> Vec<String> {
    Host::below(root).problems()
}

const EXAMPLES: &str = "\
Examples:
  vgpu-stub xcp enable my-vm
  vgpu-stub xcp list
  vgpu-stub xcp disable 2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11";

const ENABLE_EXAMPLES: &str = "\
Example:
  vgpu-stub xcp enable my-vm && xe vm-start vm=my-vm

Exit code: 0 if every host of the pool has the kit, 1 if some lack it, 2 if it failed.";

const DISABLE_EXAMPLES: &str = "\
Example:
  vgpu-stub xcp disable my-vm

Exit code: 0 if it was undone, 2 otherwise.";

const LIST_EXAMPLES: &str = "\
Examples:
  vgpu-stub xcp list
  vgpu-stub xcp list --json | jq '.hosts[].status.problems'

Exit code: 0 if every host of the pool has the kit, 1 if some lack it, 2 if XAPI could not be asked.";

const DETAILS: &str = "\
Devices and limits of this host are in /etc/vgpu-stub/xcp.conf.

Exit code:
  0  done
  1  done, but not every host of the pool has the kit
  2  not done";

/// Give VMs of XCP-ng the device, in dom0.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have a VM start with the device from its next start on
    #[command(after_help = ENABLE_EXAMPLES)]
    Enable(flag::Args),
    /// Undo 'enable', and restore what was set before
    #[command(after_help = DISABLE_EXAMPLES)]
    Disable(flag::Args),
    /// The VMs that start with the device, and what each host has and runs
    #[command(after_help = LIST_EXAMPLES)]
    List(list::Args),
    /// What XAPI calls before a VM starts
    #[command(hide = true)]
    VmPreStart(HookArgs),
    /// What XAPI calls when a VM has ended
    #[command(hide = true)]
    VmPostDestroy(HookArgs),
}

#[derive(clap::Args, Debug)]
struct HookArgs {
    /// -vmuuid UUID -reason REASON [-vmdomid N]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Has all of this process be on a host below a folder, for tests. The first
/// call counts.
pub fn set_root(root: PathBuf) {
    let _ = host::ROOT.set(root);
}

/// Does what is asked for.
///
/// # Errors
///
/// XAPI cannot be asked or refuses.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let host = Host::here();
    match &args.action {
        Action::Enable(args) => flag::enable(args),
        Action::Disable(args) => flag::disable(args),
        Action::List(args) => list::run(args),
        Action::VmPreStart(args) => Ok(hooks::vm_pre_start(&host, &args.words)),
        Action::VmPostDestroy(args) => Ok(hooks::vm_post_destroy(&host, &args.words)),
    }
}
