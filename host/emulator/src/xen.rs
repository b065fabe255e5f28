//! The emulator of a domain of Xen: its supervisor, or the process that answers the guest.

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
///
/// It is the file that runs, not the one at the path where it was: what an upgrade has put there is another release, which
/// may keep registers otherwise than the process that it is to follow, and whose words may be others. A look at the path first
/// would leave a moment in which that one is started.
fn serving(call: &XenCall) -> Command {
    let call = Call::Xen(XenCall {
        serving: true,
        ..call.clone()
    });
    let mut command = Command::new("/proc/self/exe");
    // For who looks at the list of processes.
    command.arg0(SHOWN_AS).args(call.words());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serving_process_is_the_program_that_runs_and_not_what_is_at_its_path_now() {
        let words = [
            "xen",
            "--domid",
            "5",
            "--control",
            "/c",
            "--uid-base",
            "70000",
            "--device",
            "slot=1",
        ];
        let words = words
            .map(Into::into)
            .into_iter()
            .chain([Call::version_word()]);
        let Call::Xen(call) = Call::parse(words).unwrap() else {
            panic!("another call");
        };
        let command = serving(&call);
        assert_eq!(command.get_program(), "/proc/self/exe");
        let words = command.get_args().map(ToOwned::to_owned);
        let Call::Xen(again) = Call::parse(words).unwrap() else {
            panic!("another call");
        };
        assert!(again.serving);
    }
}
