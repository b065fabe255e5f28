//! The session of a program on this machine.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use vgpu_transport::local::{self, Offer, Session};

use crate::close::close;
use crate::serve::{Error, answer_commands, answer_requests, end_with};
use crate::{Options, Regions, Service, log};

/// Serves the session of the program behind a socket, until it ends. To be
/// called while the process has one thread, beside those of a driver. The process is of no other use
/// afterwards: it may do nothing that the policy does not allow.
///
/// `service` is made before the sandbox is in force, for what it has to load.
///
/// # Errors
/// The session ended for another reason than its program's end.
pub fn serve(socket: OwnedFd, options: &Options, mut service: impl Service) -> Result<(), Error> {
    end_with(options.parent)?;
    let offer = Offer::new(options.slice_size)?;
    let sandboxed = close(options)?;
    let session = match offer.open(socket, sandboxed) {
        // Who asks whether there is a daemon comes as a program does, and goes.
        Err(vgpu_transport::Error::Lost(_)) => return Ok(()),
        session => Arc::new(session?),
    };
    let regions = Arc::new(Regions::new(options.regions));
    answer_requests({
        let (session, regions) = (Arc::clone(&session), Arc::clone(&regions));
        move || requests(&session, &regions).is_ok()
    })?;
    // It has said which version it speaks at the socket.
    let greeted = |_: &_| Ok(());
    answer_commands(
        session.guest(),
        &regions,
        options.spin(),
        greeted,
        &mut service,
    )
}

/// Gives an error only where the program broke the protocol.
fn requests(session: &Session, regions: &Regions) -> Result<(), vgpu_transport::Error> {
    loop {
        let answered = match session.request() {
            Ok(local::Request::Add(size)) => add(session, regions, size),
            Ok(local::Request::Remove(id)) => session.done(regions.take(id).map(drop)),
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
