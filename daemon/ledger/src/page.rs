//! The page: quotas, and a place for each session.

use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use vgpu_ring::Memory;

/// Sessions of a machine, and so places.
const PLACES: usize = 256;
/// Where the first kind's places begin, in words; before them are the quotas.
const FIRST: usize = 16;
/// How often a reservation is tried that others' stand in the way of which may come to nothing.
const TRIES: u32 = 64;

/// What is counted, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory of the device.
    Device = 0,
    /// Memory that the host keeps in place for sessions.
    Pinned = 1,
}

/// It would be more than the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes asked for, {used} of {quota} used")]
pub struct Full {
    /// What was asked for.
    pub asked: u64,
    /// What all sessions have.
    pub used: u64,
    /// What they may have.
    pub quota: u64,
}

/// The ledger of a machine, in memory that is shared.
#[derive(Clone, Debug)]
pub struct Ledger<M>(M);

impl<M> Ledger<M> {
    /// Words that it takes.
    pub const WORDS: usize = 1024;
    /// Sessions that it has places for.
    pub const PLACES: usize = PLACES;
}

impl<M: Memory<Word = AtomicU64>> Ledger<M> {
    /// The ledger in some memory, which is zero where it is new; `None` where that is too small.
    #[must_use]
    pub fn new(memory: M) -> Option<Self> {
        let large = memory.words().len() >= Self::WORDS;
        large.then_some(Self(memory))
    }

    /// Sets what all sessions may have together. What they have, they keep.
    pub fn set_quota(&self, kind: Kind, bytes: u64) {
        self.word(kind as usize).store(bytes, SeqCst);
    }

    /// What all sessions may have together.
    #[must_use]
    pub fn quota(&self, kind: Kind) -> u64 {
        self.word(kind as usize).load(SeqCst)
    }

    /// What all sessions have, what is reserved among it.
    #[must_use]
    pub fn used(&self, kind: Kind) -> u64 {
        let places = (0..PLACES).map(|place| self.word(at(kind, place)).load(SeqCst));
        places.fold(0, u64::saturating_add)
    }

    /// What one session has.
    #[must_use]
    pub fn used_by(&self, kind: Kind, place: usize) -> u64 {
        match place < PLACES {
            true => self.word(at(kind, place)).load(SeqCst),
            false => 0,
        }
    }

    /// Sets what one session has, where its worker has no say in it.
    pub fn set_used(&self, kind: Kind, place: usize, bytes: u64) {
        if place < PLACES {
            self.word(at(kind, place)).store(bytes, SeqCst);
        }
    }

    /// A session's place, if there is such a one.
    #[must_use]
    pub fn place(&self, place: usize) -> Option<Place<M>>
    where
        M: Clone,
    {
        (place < PLACES).then(|| Place {
            ledger: self.clone(),
            place,
        })
    }

    /// All that a session had goes back, as it has ended.
    pub fn close(&self, place: usize) {
        if place < PLACES {
            for kind in [Kind::Device, Kind::Pinned] {
                self.word(at(kind, place)).store(0, SeqCst);
            }
        }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }
}

const _: () = assert!(at(Kind::Pinned, PLACES) <= Ledger::<()>::WORDS);

const fn at(kind: Kind, place: usize) -> usize {
    FIRST + kind as usize * PLACES + place
}

/// A session's place in its machine's ledger.
#[derive(Clone, Debug)]
pub struct Place<M> {
    ledger: Ledger<M>,
    place: usize,
}

impl<M: Memory<Word = AtomicU64>> Place<M> {
    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger<M> {
        &self.ledger
    }

    /// Reserves bytes, until they are committed or the reservation is dropped.
    ///
    /// # Errors
    /// The machine's sessions would have more than the quota.
    pub fn reserve(&self, kind: Kind, bytes: u64) -> Result<Reserved<'_, M>, Full> {
        let mut tries = 0;
        loop {
            if !self.add(kind, bytes) {
                return Err(self.full(kind, bytes));
            }
            let (with, quota) = (self.ledger.used(kind), self.ledger.quota(kind));
            if with <= quota {
                let place = self;
                return Ok(Reserved { place, kind, bytes });
            }
            self.release(kind, bytes);
            tries += 1;
            let used = self.ledger.used(kind);
            if used.saturating_add(bytes) > quota || tries == TRIES {
                return Err(self.full(kind, bytes));
            }
            // What stood in the way is gone already.
            spin_loop();
        }
    }

    /// Has from now on what another place has, of another ledger, in a machine that may have less by now: what a session has,
    /// it keeps.
    pub fn take_over(&self, other: &Self) {
        for kind in [Kind::Device, Kind::Pinned] {
            let has = other.ledger.used_by(kind, other.place);
            let word = self.ledger.word(at(kind, self.place));
            word.store(has, SeqCst);
        }
    }

    /// Gives bytes back that were committed.
    pub fn release(&self, kind: Kind, bytes: u64) {
        let less = |has: u64| Some(has.saturating_sub(bytes));
        let word = self.ledger.word(at(kind, self.place));
        let _ = word.fetch_update(SeqCst, SeqCst, less);
    }

    /// Gives whether there can be so many at all.
    fn add(&self, kind: Kind, bytes: u64) -> bool {
        let more = |has: u64| has.checked_add(bytes);
        let word = self.ledger.word(at(kind, self.place));
        word.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    fn full(&self, kind: Kind, asked: u64) -> Full {
        Full {
            asked,
            used: self.ledger.used(kind),
            quota: self.ledger.quota(kind),
        }
    }
}

/// Bytes that are reserved.
#[derive(Debug)]
#[must_use = "what is dropped is given back"]
pub struct Reserved<'a, M: Memory<Word = AtomicU64>> {
    place: &'a Place<M>,
    kind: Kind,
    bytes: u64,
}

impl<M: Memory<Word = AtomicU64>> Reserved<'_, M> {
    /// They are the session's, until [`Place::release`].
    pub fn commit(mut self) {
        self.bytes = 0;
    }
}

impl<M: Memory<Word = AtomicU64>> Drop for Reserved<'_, M> {
    fn drop(&mut self) {
        self.place.release(self.kind, self.bytes);
    }
}
