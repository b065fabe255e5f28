//! What serving a session comes down to, whoever its guest is.

use std::cell::RefCell;
use std::process;
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use vgpu_ring::host::Host;
use vgpu_ring::layout::SESSION;
use vgpu_ring::{Next, Park, Record, Slice};
use vgpu_transport::{Guest, HostSpin, Lost};
use vgpu_window::Window;

use crate::{Context, Fatal, Regions, Request, Service};

/// Why a session ended, other than by its guest.
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
    /// The channel could not be opened.
    #[error("channel not opened: {0}")]
    Channel(String),
    /// The guest broke the protocol, or its service gave up.
    #[error("session ended: {0}")]
    Fatal(#[from] Fatal),
    /// The system refused.
    #[error("{0}")]
    System(#[from] Errno),
    /// No thread could be started.
    #[error("{0}")]
    Thread(#[from] std::io::Error),
}

/// Has this process end with the one that started it.
pub(crate) fn end_with(parent: Option<Pid>) -> Result<(), Error> {
    if let Some(parent) = parent {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(parent) {
            return Err(Error::Orphan);
        }
    }
    Ok(())
}

/// Answers requests on a thread of their own, until the guest has ended; the process then ends, whatever a command is
/// doing. `answer` gives whether the guest broke no rule.
pub(crate) fn answer_requests(answer: impl FnOnce() -> bool + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name("requests".into());
    thread.spawn(move || process::exit(i32::from(!answer())))?;
    Ok(())
}

/// Answers the commands of a session, until its guest has ended. Between them it waits as `spin` says; `greeted` looks at the
/// slice when the guest has sent the first.
pub(crate) fn answer_commands(
    guest: &Guest,
    regions: &Regions,
    spin: HostSpin,
    greeted: impl FnOnce(&Window) -> Result<(), Fatal>,
    service: &mut impl Service,
) -> Result<(), Error> {
    match answer(guest, regions, spin, greeted, service) {
        Err(Stop::Lost(Lost)) => Ok(()),
        Err(Stop::Fatal(fatal)) => Err(fatal.into()),
        Ok(never) => match never {},
    }
}

/// Sleeps until the guest wakes it, once its service has been told.
struct Resting<'a, S> {
    guest: &'a Guest,
    service: RefCell<&'a mut S>,
}

impl<S: Service> Park for Resting<'_, S> {
    type Ticket = ();
    type Lost = Lost;

    fn ticket(&self) {
        self.guest.ticket();
    }

    fn park(&self, (): ()) -> Result<(), Lost> {
        self.service.borrow_mut().rest();
        self.guest.park(())
    }
}

enum Stop {
    Lost(Lost),
    Fatal(Fatal),
}

fn answer(
    guest: &Guest,
    regions: &Regions,
    mut spin: HostSpin,
    greeted: impl FnOnce(&Window) -> Result<(), Fatal>,
    service: &mut impl Service,
) -> Result<std::convert::Infallible, Stop> {
    let slice = Slice::new(guest.slice().clone(), &SESSION);
    let slice = slice.map_err(|error| Stop::Fatal(Fatal::protocol(&error)))?;
    let mut host = Host::new(slice, guest.interrupt().clone());
    let mut record = Record::boxed();
    let parked = Resting {
        guest,
        service: RefCell::new(&mut *service),
    };
    host.wait(&parked, &mut spin).map_err(Stop::Lost)?;
    if let Err(fatal) = greeted(guest.slice()) {
        host.answers().fault(fatal.status, 0);
        return Err(Stop::Fatal(fatal));
    }
    loop {
        let next = host.next(&mut record);
        let handled = match next {
            Ok(Next::Empty) => {
                spin.renew();
                let parked = Resting {
                    guest,
                    service: RefCell::new(&mut *service),
                };
                host.wait(&parked, &mut spin).map_err(Stop::Lost)?;
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
                    guest,
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
