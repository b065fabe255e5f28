//! From a socket to a session's end.

use std::os::fd::OwnedFd;
use std::process;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use vgpu_ring::host::Host;
use vgpu_ring::layout::SESSION;
use vgpu_ring::{Next, Record, Slice};
use vgpu_transport::local::{self, Offer, Session};
use vgpu_transport::{HostSpin, Lost};

use crate::close::close;
use crate::{Context, Fatal, Options, Regions, Request, Service, log};

/// Why a session ended, other than by its program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process that started this one is gone.
    #[error("the daemon has ended")]
    Orphan,
    /// The sandbox is not in force.
    #[error(transparent)]
    Sandbox(#[from] vgpu_sandbox::Error),
    /// The session could not be opened.
    #[error(transparent)]
    Transport(#[from] vgpu_transport::Error),
    /// The program broke the protocol, or its service gave up.
    #[error("session ended: {0}")]
    Fatal(#[from] Fatal),
    /// The system refused.
    #[error("{0}")]
    System(#[from] Errno),
    /// No thread could be started.
    #[error("{0}")]
    Thread(#[from] std::io::Error),
}

/// Serves the session of the program behind a socket, until it ends. To be
/// called while the process has one thread, beside those of a driver. The process is of no other use
/// afterwards: it may do nothing that the policy does not allow.
///
/// `service` is made before the sandbox is in force, for what it has to load.
///
/// # Errors
/// The session ended for another reason than its program's end.
pub fn serve(socket: OwnedFd, options: &Options, mut service: impl Service) -> Result<(), Error> {
    if let Some(parent) = options.parent {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(parent) {
            return Err(Error::Orphan);
        }
    }
    let offer = Offer::new(options.slice_size)?;
    let sandboxed = close(options)?;
    let session = Arc::new(offer.open(socket, sandboxed)?);
    let regions = Arc::new(Regions::new(options.regions));
    thread::Builder::new().name("requests".into()).spawn({
        let (session, regions) = (Arc::clone(&session), Arc::clone(&regions));
        // The program's end ends everything, whatever a command is doing.
        move || process::exit(i32::from(answer_requests(&session, &regions).is_err()))
    })?;
    match answer_commands(&session, &regions, &mut service) {
        Err(Stop::Lost(Lost)) => Ok(()),
        Err(Stop::Fatal(fatal)) => Err(fatal.into()),
        Ok(never) => match never {},
    }
}

enum Stop {
    Lost(Lost),
    Fatal(Fatal),
}

fn answer_commands(
    session: &Session,
    regions: &Regions,
    service: &mut impl Service,
) -> Result<std::convert::Infallible, Stop> {
    let slice = Slice::new(session.slice().clone(), &SESSION);
    let slice = slice.map_err(|error| Stop::Fatal(Fatal::protocol(&error)))?;
    let mut host = Host::new(slice, session.interrupt().clone());
    let mut record = Record::boxed();
    let mut spin = HostSpin::new();
    loop {
        let next = host.next(&mut record);
        let handled = match next {
            Ok(Next::Empty) => {
                spin.renew();
                host.wait(session, &mut spin).map_err(Stop::Lost)?;
                continue;
            }
            Ok(Next::Record) => {
                let request = Request {
                    header: record.header(),
                    payload: record.payload(),
                };
                let context = Context {
                    answers: host.answers(),
                    slice: host.slice(),
                    regions,
                    session,
                };
                let handled = service.handle(request, &context);
                handled.map_err(|mut fatal| {
                    fatal.reason = format!("op {:#06x}: {fatal}", request.header.op);
                    fatal
                })
            }
            Err(fault) => Err(Fatal::protocol(&fault)),
        };
        if let Err(fatal) = handled {
            host.answers().fault(fatal.status, record.header().seq);
            return Err(Stop::Fatal(fatal));
        }
    }
}

/// Gives an error only where the program broke the protocol.
fn answer_requests(session: &Session, regions: &Regions) -> Result<(), vgpu_transport::Error> {
    loop {
        let answered = match session.request() {
            Ok(local::Request::Add(size)) => add(session, regions, size),
            Ok(local::Request::Remove(id)) => session.done(regions.remove(id)),
            Err(error) => Err(error),
        };
        match answered {
            Ok(()) => {}
            Err(vgpu_transport::Error::Lost(_)) => return Ok(()),
            Err(error) => {
                log::log(format_args!("session ended: {error}"));
                return Err(error);
            }
        }
    }
}

fn add(session: &Session, regions: &Regions, size: u64) -> Result<(), vgpu_transport::Error> {
    let made = regions.admit(size).and_then(|size| {
        session.region(size).map_err(|error| match error {
            vgpu_transport::Error::System(errno) => errno,
            _ => Errno::INVAL,
        })
    });
    match made {
        Ok((memory, window)) => session.added(regions.add(window), &memory),
        Err(refused) => session.done(Err(refused)),
    }
}
