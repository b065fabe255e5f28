//! The sandbox is closed before anything of a program's is read.

use rustix::process::{DumpableBehavior, Resource, set_dumpable_behavior};
use vgpu_sandbox::{Error, Sandbox, Sandboxed};

use crate::Options;

/// Threads of all workers of a machine: 256 on a host with as many processors. Where there are control groups, these hold
/// what the machine's own share is.
const THREADS: u64 = 256 * (256 + 8);

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
    if let Some(user) = options.user {
        sandbox.expect_user(user);
        // All threads of the user count, in whichever worker of its machine.
        sandbox.limit(Resource::Nproc, THREADS)?;
    }
    sandbox.close(options.policy)
}
