//! The daemon's end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use vgpu_packet::Error as PacketError;
use vgpu_window::Window;

use crate::message::{BACK, HELLO, LEASE, Message, WANT};
use crate::{Error, Page};

/// A worker did not keep to the order of messages: it is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker that does not keep to the order of leases")]
pub struct Breach;

/// What a worker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has work.
    Wants,
    /// It gave its lease back.
    Back,
    /// It gave its lease back, and has more work.
    Again,
    /// It has closed its end.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Wants,
    Has(u64),
    Gone,
}

/// A worker's place at the engine.
#[derive(Debug)]
pub struct Seat {
    socket: OwnedFd,
    page: Page<Window>,
    state: State,
    /// A lease that was taken back without asking, which the worker may not know of yet.
    taken: Option<u64>,
}

impl Seat {
    /// A place, and the worker's end of it: its first message is there already. The ledger is that of its machine, with
    /// the session's place in it.
    ///
    /// # Errors
    /// The system has no memory or descriptors left.
    pub fn open(ledger: BorrowedFd<'_>, place: usize) -> Result<(Self, OwnedFd), Error> {
        let (socket, theirs) = vgpu_packet::pair()?;
        let (file, window) = Window::create(Page::<Window>::SIZE)?;
        let hello = Message {
            kind: HELLO,
            number: place as u64,
            ..Message::default()
        };
        vgpu_packet::send(&socket, &hello, &[file.as_fd(), ledger])?;
        let page = Page::new(window).ok_or(Error::Protocol("a page"))?;
        let seat = Self {
            socket,
            page,
            state: State::Idle,
            taken: None,
        };
        Ok((seat, theirs))
    }

    /// What there is to read, as long as there may be anything.
    #[must_use]
    pub fn readable(&self) -> Option<&OwnedFd> {
        (self.state != State::Gone).then_some(&self.socket)
    }

    /// The session's page.
    #[must_use]
    pub const fn page(&self) -> &Page<Window> {
        &self.page
    }

    /// Whether it has asked for a lease and has none.
    #[must_use]
    pub fn wants(&self) -> bool {
        self.state == State::Wants
    }

    /// Takes a message that is there; `None` where there is none, or it says nothing new.
    ///
    /// # Errors
    /// The worker may not say so now.
    pub fn hear(&mut self) -> Result<Option<Heard>, Breach> {
        let message = match vgpu_packet::try_receive::<Message>(&self.socket, 0) {
            Ok(None) => return Ok(None),
            Ok(Some((message, _))) => message,
            Err(PacketError::Gone) => {
                self.state = State::Gone;
                return Ok(Some(Heard::Gone));
            }
            Err(_) => return Err(Breach),
        };
        match (message.kind, self.state) {
            (WANT, State::Idle) => {
                self.state = State::Wants;
                Ok(Some(Heard::Wants))
            }
            (BACK, State::Has(number)) if message.number == number => {
                let (state, heard) = match message.open {
                    0 => (State::Idle, Heard::Back),
                    _ => (State::Wants, Heard::Again),
                };
                self.state = state;
                Ok(Some(heard))
            }
            (BACK, State::Idle) if self.taken == Some(message.number) => {
                self.taken = None;
                if message.open == 0 {
                    return Ok(None);
                }
                self.state = State::Wants;
                Ok(Some(Heard::Wants))
            }
            _ => Err(Breach),
        }
    }

    /// Gives the worker a lease, which it has asked for.
    ///
    /// # Errors
    /// It has not asked, or does not read.
    pub fn grant(&mut self, number: u64, time: u64, open: bool) -> Result<(), Breach> {
        if self.state != State::Wants {
            return Err(Breach);
        }
        let lease = Message {
            kind: LEASE,
            open: u32::from(open),
            number,
            time,
        };
        vgpu_packet::send(&self.socket, &lease, &[]).map_err(|_| Breach)?;
        self.state = State::Has(number);
        Ok(())
    }

    /// Wants its lease back. Gives whether it is, as the worker does not use it; else the worker says so when it has done
    /// what it is doing.
    #[must_use]
    pub fn recall(&mut self) -> bool {
        let State::Has(number) = self.state else {
            return false;
        };
        let back = self.page.recall(number);
        if back {
            self.state = State::Idle;
            self.taken = Some(number);
        }
        back
    }
}
