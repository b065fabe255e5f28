//! The emulator of a domain of Xen: its supervisor, or the process that answers the guest.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use vgpu_emulator::{Call, FAILED, SHOWN_AS, XenCall};
use vgpu_terminal::Failure;
use vgpu_xen::{serve, supervise};

/// Emulates until the domain is gone.
pub(crate) fn run(call: &XenCall) -> Result<(), Failure> {
    if call.detached {
        // It fails where this process leads a session already.
        let _ = rustix::process::setsid();
    }
    let done = match call.serving {
        true => serve(&call.options),
        false => supervise(&call.options, || serving(call)),
    };
    done.map_err(|error| {
        let failure = Failure::new(error.to_string(), error.mend());
        if call.detached && !call.serving {
            // Who started it waits for a line.
            let _ = writeln!(io::stdout(), "{FAILED}{}", failure.cause);
        }
        failure
    })
}

/// This program again, as the process that answers the guest.
fn serving(call: &XenCall) -> Command {
    // An upgrade may have put another program where this one was. What has
    // the older one's registers in hand goes on with the older one.
    let program = env::current_exe()
        .ok()
        .filter(|program| program.exists())
        .unwrap_or_else(|| "/proc/self/exe".into());
    let call = Call::Xen(XenCall {
        serving: true,
        ..call.clone()
    });
    let mut command = Command::new(program);
    // For who looks at the list of processes.
    command.arg0(SHOWN_AS).args(call.words());
    command
}
