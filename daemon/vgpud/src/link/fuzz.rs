//! One emulator's connection, without a process behind its channels: for a fuzzer, which plays the emulator.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use super::closer::Closer;
use super::emulator::Emulator;
use crate::cage::Cages;
use crate::log::Log;
use crate::settings::Policy;
use crate::shares::Shares;

/// A daemon that cannot start a worker, with one emulator.
#[derive(Debug)]
pub struct Connection {
    emulator: Emulator,
    command: Vec<OsString>,
    shares: Shares,
    cages: Cages,
    closer: Closer,
    log: Log,
}

impl Connection {
    /// Accepts an emulator of this process's user.
    ///
    /// # Panics
    /// The socket is none that tells its user.
    #[must_use]
    pub fn accept(socket: OwnedFd) -> Self {
        let policy = Policy::new(None, vgpu_service::ECHOES[0].name).expect("no file");
        Self {
            emulator: Emulator::of(socket, &policy).expect("an emulator of this user"),
            command: vec!["/nonexistent/vgpud".into()],
            shares: Shares::new(&policy.settings().engines),
            cages: Cages::none(),
            closer: Closer::here(),
            log: Log::silent(),
        }
    }

    /// Takes one message, where there is one, and does what is due; gives whether the connection is still there.
    pub fn turn(&mut self) -> bool {
        let Self {
            emulator,
            command,
            shares,
            cages,
            closer,
            log,
        } = self;
        emulator.receive(command, shares, closer, log);
        if emulator.wants.is_some() {
            emulator.attached(shares, cages, closer, log);
        }
        emulator.attend(None, shares, closer, log);
        !emulator.has_hung_up()
    }
}
