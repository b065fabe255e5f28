//! The worker's end.

use std::mem;
use std::os::fd::{AsFd, OwnedFd};

use vgpu_ledger::{Ledger, Place};
use vgpu_packet::Error as PacketError;
use vgpu_ring::Memory as _;
use vgpu_window::Window;

use crate::message::{BACK, HELLO, LEASE, Message, WANT};
use crate::{Count, Error, Page, Series, now};

/// What lets a worker's engine work.
#[derive(Debug)]
pub struct Gate {
    socket: OwnedFd,
    page: Page<Window>,
    place: Place<Window>,
    lease: Option<Held>,
    /// Whether its worker outlives the daemon, which another may follow.
    outlives: bool,
    /// Since when the engine works, where it does.
    works: Option<u64>,
    /// Whether a lease is asked for already, which nobody has taken yet.
    asked: bool,
}

/// A lease.
#[derive(Clone, Copy, Debug)]
struct Held {
    number: u64,
    time: u64,
    open: bool,
    /// Engine time that was used under it.
    spent: u64,
}

/// What a worker goes on with that has no daemon. No lease has this number.
const ALONE: Held = Held {
    number: u64::MAX,
    time: u64::MAX,
    open: true,
    spent: 0,
};

/// Leave to work once.
#[derive(Debug)]
#[must_use = "the engine works until `Gate::leave`"]
pub struct Pass {
    /// When it was asked for, and when it was there.
    came: u64,
    began: u64,
}

impl Gate {
    /// Takes the daemon's first message, which is there already. To be called before the process closes its sandbox.
    ///
    /// # Errors
    /// It is not, or is another.
    pub fn connect(socket: OwnedFd) -> Result<Self, Error> {
        // The first reading finds out by prctl(2) where the kernel has its clock, which a sandbox would not let it.
        let _ = now();
        let (page, place) = greeting(&socket)?;
        Ok(Self {
            socket,
            page,
            place,
            lease: None,
            outlives: false,
            works: None,
            asked: false,
        })
    }

    /// Where the daemon goes, the engine works without leases until there is another ([`Self::reconnect`]). How long that may
    /// be is up to the caller.
    pub const fn outlive(&mut self) {
        self.outlives = true;
    }

    /// Goes on with another daemon, of which `socket` is as in [`Self::connect`]. What the session has of the machine's
    /// memory is told it. What the engine does now goes on, and the daemon is asked for a lease for it: so it knows since when.
    ///
    /// # Errors
    /// Its first message is not there, or is another; or it is gone already.
    pub fn reconnect(&mut self, socket: OwnedFd) -> Result<(), Error> {
        let (page, place) = greeting(&socket)?;
        place.take_over(&self.place);
        self.asked = self.works.is_some();
        if let Some(since) = self.works {
            let _ = page.begin(ALONE.number, since);
            let want = Message {
                kind: WANT,
                ..Message::default()
            };
            vgpu_packet::send(&socket, &want, &[])?;
        }
        (self.socket, self.page, self.place) = (socket, page, place);
        self.lease = None;
        Ok(())
    }

    /// The session's page.
    #[must_use]
    pub const fn page(&self) -> &Page<Window> {
        &self.page
    }

    /// The session's place in its machine's ledger.
    #[must_use]
    pub const fn place(&self) -> &Place<Window> {
        &self.place
    }

    /// Waits until the engine may work, for about `estimate` nanoseconds. What would not end in the rest of a lease that
    /// was used already waits for the next one.
    ///
    /// # Errors
    /// The daemon is gone, or says what it may not.
    pub fn enter(&mut self, estimate: u64) -> Result<Pass, Error> {
        let came = now();
        let mut began = came;
        loop {
            let Some(held) = self.lease else {
                began = self.ask(WANT, 0)?;
                continue;
            };
            let ends = held.spent.saturating_add(estimate) > held.time;
            let used_up = !held.open && held.spent > 0 && ends;
            if !used_up && self.page.begin(held.number, began) {
                self.works = Some(began);
                return Ok(Pass { came, began });
            }
            began = self.ask(BACK, held.number)?;
        }
    }

    /// The engine has done its work. Gives how long that took, in nanoseconds. A lease that is used up, or wanted back, is
    /// given back when there is more work, or none for a while.
    pub fn leave(&mut self, pass: &Pass) -> u64 {
        self.page.end();
        self.works = None;
        let now = now();
        let took = now.saturating_sub(pass.began);
        self.page.add(Count::EngineTime, took);
        self.page
            .note(Series::Latency, now.saturating_sub(pass.came));
        if let Some(held) = &mut self.lease {
            held.spent = held.spent.saturating_add(took);
        }
        took
    }

    /// The session has nothing to do for a while: others do not wait for what it does not use.
    ///
    /// # Errors
    /// The daemon is gone.
    pub fn rest(&mut self) -> Result<(), Error> {
        match self.lease {
            Some(held) if !held.open || self.page.is_recalled(held.number) => self.give_back(held),
            _ => Ok(()),
        }
    }

    /// Asks for a lease, and gives one back where it has one. Gives when it had it.
    fn ask(&mut self, kind: u32, back: u64) -> Result<u64, Error> {
        self.lease = None;
        let began = now();
        let lease = match self.exchange(kind, back) {
            Err(Error::Packet(PacketError::Gone)) if self.outlives => {
                self.lease = Some(ALONE);
                return Ok(now());
            }
            lease => lease?,
        };
        let granted = now();
        let waited = granted.saturating_sub(began);
        self.page.add(Count::Waits, 1);
        self.page.add(Count::WaitTime, waited);
        self.page.note(Series::Wait, waited);
        self.lease = Some(Held {
            number: lease.number,
            time: lease.time,
            open: lease.open != 0,
            spent: 0,
        });
        Ok(granted)
    }

    fn exchange(&mut self, kind: u32, back: u64) -> Result<Message, Error> {
        let want = Message {
            kind,
            open: u32::from(kind == BACK),
            number: back,
            ..Message::default()
        };
        if !mem::take(&mut self.asked) {
            vgpu_packet::send(&self.socket, &want, &[])?;
        }
        let (lease, _) = vgpu_packet::receive::<Message>(&self.socket, 0)?;
        match lease.kind {
            LEASE => Ok(lease),
            _ => Err(Error::Protocol("a lease")),
        }
    }

    fn give_back(&mut self, held: Held) -> Result<(), Error> {
        self.lease = None;
        let back = Message {
            kind: BACK,
            number: held.number,
            ..Message::default()
        };
        match vgpu_packet::send(&self.socket, &back, &[]) {
            Err(PacketError::Gone) if self.outlives => Ok(()),
            sent => Ok(sent?),
        }
    }
}

/// Takes a daemon's first message.
fn greeting(socket: &OwnedFd) -> Result<(Page<Window>, Place<Window>), Error> {
    let (hello, descriptors) = vgpu_packet::receive::<Message>(socket, 2)?;
    let Ok([page, ledger]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return Err(Error::Protocol("a page and a ledger"));
    };
    if hello.kind != HELLO {
        return Err(Error::Protocol("which place is this session's"));
    }
    let page = Page::new(Window::map(page.as_fd(), Page::<Window>::SIZE)?);
    let window = Window::map(ledger.as_fd(), Ledger::<Window>::WORDS * 8)?;
    debug_assert!(window.words().len() >= Ledger::<Window>::WORDS);
    let place = usize::try_from(hello.number).ok();
    let place = place.and_then(|place| Ledger::new(window)?.place(place));
    Ok((
        page.ok_or(Error::Protocol("a page"))?,
        place.ok_or(Error::Protocol("a place of the ledger"))?,
    ))
}
