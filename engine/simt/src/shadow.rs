//! What the bytes of a block's shared memory remember of who accessed them.

/// An access to a byte.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Access {
    /// The number of the thread in its block.
    pub(crate) thread: u16,
    /// How many barriers its warp had done.
    pub(crate) warp_barriers: u32,
    /// The line in the text.
    pub(crate) line: u32,
    /// Whether it is atomic, or ordered otherwise: two such are no race.
    pub(crate) strong: bool,
    /// What is written; of an atomic operation it is not looked at.
    pub(crate) value: Option<u8>,
    /// The interval between barriers of the block; 0 for no access. The shadow sets it.
    pub(crate) interval: u32,
}

impl Access {
    /// Whether nothing orders this access with a later one of another thread.
    fn races(self, later: Self) -> bool {
        let same_warp = self.thread / 32 == later.thread / 32;
        self.interval == later.interval
            && self.thread != later.thread
            && !(self.strong && later.strong)
            && !(same_warp && self.warp_barriers != later.warp_barriers)
    }

    /// This access in the place of an earlier one; but an atomic access does not hide
    /// what the same thread did before it, with nothing in between.
    fn after(self, earlier: Self) -> Self {
        let place = |access: &Self| (access.thread, access.interval, access.warp_barriers);
        match self.strong && !earlier.strong && place(&self) == place(&earlier) {
            true => Self {
                value: self.value,
                ..earlier
            },
            false => self,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Byte {
    write: Access,
    /// The last one, and one of another thread, of another warp where there is one.
    reads: [Access; 2],
}

/// The bytes of a block.
///
/// A barrier that any threads of the block complete counts for all of them, and
/// one of any lanes for their warp: a race may stay unseen, but none is seen
/// where there is a barrier.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    bytes: Vec<Byte>,
    interval: u32,
}

impl Shadow {
    /// A block begins, with so many bytes.
    pub(crate) fn start(&mut self, size: usize) {
        self.bytes.resize(size, Byte::default());
        self.barrier();
    }

    /// Threads of the block have met.
    pub(crate) fn barrier(&mut self) {
        self.interval = self.interval.wrapping_add(1);
        if self.interval == 0 {
            self.bytes.fill(Byte::default());
            self.interval = 1;
        }
    }

    /// Remembers a read; or the write that it races with.
    pub(crate) fn read(&mut self, at: usize, access: Access) -> Result<(), Access> {
        let access = self.now(access);
        let Some(byte) = self.bytes.get_mut(at) else {
            return Ok(());
        };
        if byte.write.races(access) {
            return Err(byte.write);
        }
        let [last, other] = byte.reads;
        let there =
            |read: &Access| read.interval == access.interval && read.thread != access.thread;
        let far = |read: &Access| read.thread / 32 != access.thread / 32;
        let kept = [last, other].into_iter().filter(there);
        let kept = kept.clone().find(far).or_else(|| kept.clone().next());
        byte.reads = [access.after(last), kept.unwrap_or_default()];
        Ok(())
    }

    /// Remembers a write; or the access that it races with, and whether that is
    /// a write. To write what another thread has written is no race.
    pub(crate) fn write(&mut self, at: usize, access: Access) -> Result<(), (Access, bool)> {
        let access = self.now(access);
        let Some(byte) = self.bytes.get_mut(at) else {
            return Ok(());
        };
        let same = access.value.is_some() && access.value == byte.write.value;
        if byte.write.races(access) && !same {
            return Err((byte.write, true));
        }
        if let Some(read) = byte.reads.into_iter().find(|read| read.races(access)) {
            return Err((read, false));
        }
        byte.write = access.after(byte.write);
        Ok(())
    }

    fn now(&self, access: Access) -> Access {
        Access {
            interval: self.interval,
            ..access
        }
    }
}
