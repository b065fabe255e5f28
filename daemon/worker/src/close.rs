//! The sandbox is closed before anything of a program's is read.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use vgpu_sandbox::{Error, Sandbox, Sandboxed};

use crate::Options;

/// Closes the sandbox, while the process has one thread, beside those of a driver.
pub(crate) fn close(options: &Options) -> Result<Sandboxed, Error> {
    // To other processes of the user, too, its program's data is closed.
    let refused = |errno: rustix::io::Errno| Error::System {
        action: "keep its memory from others",
        source: errno.into(),
    };
    let mut sandbox = Sandbox::prepare()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
    if options.files.is_none() {
        sandbox.deny_files();
    }
    sandbox.close(options.policy)
}
