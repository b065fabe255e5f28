//! A daemon that stands by for all programs of its user.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use vgpu_service_manager::{ServiceManager, State};
use vgpu_terminal::Failure;
use vgpu_transport::Error;

use crate::Daemon;

/// What ends it in order: a service manager's stop, and Ctrl-C.
const ENDED_BY: [i32; 2] = [SIGTERM, SIGINT];

/// Serves until a signal asks for the end; then no worker is left. `command` is that of [`Daemon::new`].
pub(crate) fn serve(command: Vec<OsString>) -> Result<(), Failure> {
    let manager = ServiceManager::connect();
    let mut daemon = Daemon::of_user(command).map_err(|error| refused(&error))?;
    let ended = signals(&daemon).map_err(|error| refused(&error))?;
    manager.tell(State::Ready);
    while !ended.load(Ordering::Relaxed) {
        daemon.turn();
    }
    manager.tell(State::Stopping);
    Ok(())
}

/// Whether one of the signals came, which also wakes the daemon.
fn signals(daemon: &Daemon) -> io::Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in ENDED_BY {
        // The flag first: whoever is woken looks at it.
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
        daemon.wake_on(signal)?;
    }
    Ok(ended)
}

fn refused(error: &(impl std::error::Error + 'static)) -> Failure {
    let error: &(dyn std::error::Error + 'static) = error;
    let (cause, mend) = match error.downcast_ref() {
        Some(Error::Runs { process }) => (
            error.to_string(),
            format!("use that one, or end it first: kill {process}"),
        ),
        Some(Error::Taken {
            name,
            user,
            process,
        }) => (
            format!("user {user} (process {process}) listens at {name}, in place of this daemon"),
            "have that process ended; until then `vgpu run` gives programs a device".to_owned(),
        ),
        _ => (
            format!("cannot listen: {error}"),
            "see whether this user has processes and descriptors left (ulimit -a)".to_owned(),
        ),
    };
    Failure::new(cause, mend)
}
