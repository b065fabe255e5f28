//! A daemon that stands by: for all programs of its user, or for the machines of emulators.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use vgpu_service_manager::{ServiceManager, State};
use vgpu_socket::PacketListener;
use vgpu_terminal::Failure;
use vgpu_transport::Error;

use crate::Daemon;
use crate::Policy;
use crate::link::Link;

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

/// Where a daemon of virtual machines is found, and what it reads and writes.
#[derive(Debug)]
pub(crate) struct LinkPlaces {
    pub(crate) socket: PathBuf,
    pub(crate) config: Option<PathBuf>,
    pub(crate) control: Option<PathBuf>,
    pub(crate) audit: Option<PathBuf>,
}

/// The same for the emulators that attach at a socket, as a file says, or this user's. `engine` is what executes the
/// guests' work where that file names none.
pub(crate) fn link(place: LinkPlaces, engine: &str, command: Vec<OsString>) -> Result<(), Failure> {
    let manager = ServiceManager::connect();
    let policy = Policy::new(place.config, engine).map_err(|error| {
        let mend = "correct the file: `vgpud link --help` has an example";
        Failure::new(format!("cannot take the configuration: {error}"), mend)
    })?;
    // Who may attach is told by its user, not by whom the file lets in.
    let mode = if policy.is_for_others() { 0o666 } else { 0o600 };
    let listener = PacketListener::bind(&place.socket, mode)
        .map_err(|error| Failure::new(error.to_string(), error.mend().to_string()))?;
    all_descriptors();
    let mut link = Link::new(listener, policy, command).map_err(|error| refused(&error))?;
    if let Some(path) = &place.control {
        link.listen(path)
            .map_err(|(cause, mend)| Failure::new(cause, mend))?;
    }
    if let Some(path) = &place.audit {
        link.audit(path).map_err(|error| {
            let cause = format!("cannot note sessions in {}: {error}", path.display());
            Failure::new(cause, "name a file that this user may write to")
        })?;
    }
    let ended = signals(|signal| link.wake_on(signal)).map_err(|error| refused(&error))?;
    let reload = flag(&[SIGHUP], |signal| link.wake_on(signal)).map_err(|error| refused(&error))?;
    manager.tell(State::Ready);
    while !ended.load(Ordering::Relaxed) {
        if reload.swap(false, Ordering::Relaxed)
            && let Err(cause) = link.reload()
        {
            let mend = "correct the file; until then all is as it was";
            Failure::new(format!("not reloaded: {cause}"), mend).print();
        }
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

/// Whether it is to end.
fn signals(wake_on: impl Fn(i32) -> io::Result<()>) -> io::Result<Arc<AtomicBool>> {
    flag(&ENDED_BY, wake_on)
}

/// Whether one of some signals came, which also wakes the daemon.
fn flag(signals: &[i32], wake_on: impl Fn(i32) -> io::Result<()>) -> io::Result<Arc<AtomicBool>> {
    let came = Arc::new(AtomicBool::new(false));
    for &signal in signals {
        // The flag first: whoever is woken looks at it.
        signal_hook::flag::register(signal, Arc::clone(&came))?;
        wake_on(signal)?;
    }
    Ok(came)
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
