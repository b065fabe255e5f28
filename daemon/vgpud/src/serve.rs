//! A daemon that stands by: for all programs of its user, or for the machines of emulators.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};
use vgpu_service_manager::{ServiceManager, State};
use vgpu_socket::PacketListener;
use vgpu_terminal::Failure;
use vgpu_transport::Error;

use crate::Daemon;
use crate::link::{Link, Policy};

/// What ends it in order: a service manager's stop, and Ctrl-C.
const ENDED_BY: [i32; 2] = [SIGTERM, SIGINT];

/// Serves until a signal asks for the end; then no worker is left. `command` is that of [`Daemon::new`].
pub(crate) fn serve(command: Vec<OsString>) -> Result<(), Failure> {
    let manager = ServiceManager::connect();
    let mut daemon = Daemon::of_user(command).map_err(|error| refused(&error))?;
    let ended = signals(|signal| daemon.wake_on(signal)).map_err(|error| refused(&error))?;
    manager.tell(State::Ready);
    while !ended.load(Ordering::Relaxed) {
        daemon.turn();
    }
    manager.tell(State::Stopping);
    Ok(())
}

/// The same for the emulators that attach at `socket`, as a file says, or this user's.
pub(crate) fn link(
    socket: &Path,
    config: Option<PathBuf>,
    command: Vec<OsString>,
) -> Result<(), Failure> {
    let manager = ServiceManager::connect();
    let policy = Policy::new(config).map_err(|error| {
        let mend = "correct the file: `vgpud link --help` has an example";
        Failure::new(format!("cannot take the configuration: {error}"), mend)
    })?;
    // Who may attach is told by its user, not by whom the file lets in.
    let mode = if policy.is_for_others() { 0o666 } else { 0o600 };
    let listener = PacketListener::bind(socket, mode)
        .map_err(|error| Failure::new(error.to_string(), error.mend().to_string()))?;
    all_descriptors();
    let mut link = Link::new(listener, policy, command).map_err(|error| refused(&error))?;
    let ended = signals(|signal| link.wake_on(signal)).map_err(|error| refused(&error))?;
    manager.tell(State::Ready);
    while !ended.load(Ordering::Relaxed) {
        link.turn();
    }
    manager.tell(State::Stopping);
    Ok(())
}

/// Each channel takes two: as many as this process may have at all. Workers take less for themselves.
fn all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, all);
}

/// Whether one of the signals came, which also wakes the daemon.
fn signals(wake_on: impl Fn(i32) -> io::Result<()>) -> io::Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in ENDED_BY {
        // The flag first: whoever is woken looks at it.
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
        wake_on(signal)?;
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
