//! One producer, one consumer, records that never wrap. Neither side believes
//! the other.

use core::fmt;
use core::sync::atomic::Ordering;

use crate::layout::{ALIGN, Ring};
use crate::memory::{Memory, Slice, Word};
use crate::record::{HEADER_SIZE, Header, PAD, Record};
use crate::wait::publish;

/// What the other side did against the protocol. It ends the ring for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An index is not a multiple of 16, or says that there is more in the
    /// ring than it holds.
    Index {
        /// The producer's index.
        tail: u64,
        /// The consumer's index.
        head: u64,
    },
    /// A record is shorter than its header, too long, of no multiple of 16
    /// bytes, or reaches past what is published or past the ring's end.
    Length {
        /// Where the record begins, as a count of bytes.
        at: u64,
        /// The length that it states.
        len: u32,
    },
    /// A pad does not reach to the ring's end.
    Pad {
        /// Where the pad begins, as a count of bytes.
        at: u64,
        /// The length that it states.
        len: u32,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { tail, head } => write!(f, "ring index: tail {tail:#x}, head {head:#x}"),
            Self::Length { at, len } => write!(f, "record at {at:#x}: length {len:#x}"),
            Self::Pad { at, len } => write!(f, "pad at {at:#x}: length {len:#x}"),
        }
    }
}

impl core::error::Error for Fault {}

/// Why a record was not put into a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room at present.
    Full,
    /// It is longer than a record may be.
    TooLong,
    /// The consumer broke the protocol.
    Fault(Fault),
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::TooLong => f.write_str("the record is too long for the ring"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for PushError {}

/// The half that writes records.
#[derive(Debug)]
pub struct Producer<M> {
    slice: Slice<M>,
    ring: Ring,
    tail: u64,
    /// The consumer's index as last seen.
    head: u64,
}

impl<M: Memory> Producer<M> {
    /// The producer of a ring that nothing was written to yet.
    pub const fn new(slice: Slice<M>, ring: Ring) -> Self {
        Self::at(slice, ring, [0; 2])
    }

    /// The producer in the middle of a ring's life: a count of bytes written, and of
    /// bytes that the consumer was seen to have done. It is for proofs, which begin
    /// with any state that there can be.
    pub const fn at(slice: Slice<M>, ring: Ring, [tail, head]: [u64; 2]) -> Self {
        Self {
            slice,
            ring,
            tail,
            head,
        }
    }

    /// The two counts.
    pub const fn indices(&self) -> [u64; 2] {
        [self.tail, self.head]
    }

    /// Writes a record and publishes it. Its length is set here. `fixed` and
    /// `data` follow the header.
    ///
    /// The peer must be woken where it sleeps: see [`crate::wait::wake`].
    ///
    /// # Errors
    /// [`PushError`]; nothing was published.
    // Where it is known how long `fixed` is, there is no loop over it.
    #[inline(always)]
    pub fn push(&mut self, header: Header, fixed: &[u64], data: &[u8]) -> Result<(), PushError> {
        let payload = size_of_val(fixed) + data.len();
        let len = (HEADER_SIZE + payload).next_multiple_of(ALIGN);
        if len > self.ring.longest_record() {
            return Err(PushError::TooLong);
        }
        let at = self.begin(len)?;
        let words = self.slice.words(self.ring.data + at, len);
        let header = Header {
            len: len as u32,
            ..header
        };
        let (head, body) = words.split_at(HEADER_SIZE / 8);
        store(head, &header.to_words());
        let (first, second) = body.split_at(fixed.len());
        store(first, fixed);
        store_bytes(second, data);
        self.tail = self.tail.wrapping_add(len as u64);
        publish(self.slice.word(self.ring.tail), self.tail);
        Ok(())
    }

    /// Where in the ring a record of so many bytes begins, for which there is
    /// room.
    #[inline(always)]
    fn begin(&mut self, len: usize) -> Result<usize, PushError> {
        let at = self.tail as usize & (self.ring.size - 1);
        let to_end = self.ring.size - at;
        if len <= to_end {
            self.reserve(len)?;
            return Ok(at);
        }
        self.begin_anew(at, to_end, len)
    }

    /// The same at the ring's start, where what is left of it does not do.
    #[cold]
    fn begin_anew(&mut self, at: usize, to_end: usize, len: usize) -> Result<usize, PushError> {
        self.reserve(to_end + len)?;
        let pad = Header {
            len: to_end as u32,
            op: PAD,
            ..Header::default()
        };
        let words = self.slice.words(self.ring.data + at, HEADER_SIZE);
        store(words, &pad.to_words());
        // Published with the record.
        self.tail = self.tail.wrapping_add(to_end as u64);
        Ok(0)
    }

    /// Whether there is room for so many bytes; looks at the consumer's index
    /// only where the last value does not do.
    #[inline(always)]
    fn reserve(&mut self, len: usize) -> Result<(), PushError> {
        match self.room() >= len as u64 {
            true => Ok(()),
            false => self.reserve_anew(len),
        }
    }

    fn room(&self) -> u64 {
        self.ring.size as u64 - self.tail.wrapping_sub(self.head)
    }

    /// Looks at the consumer's index.
    #[cold]
    fn reserve_anew(&mut self, len: usize) -> Result<(), PushError> {
        let head = self.slice.word(self.ring.head).load(Ordering::Acquire);
        // The consumer has neither gone back nor past what was published, nor into a record.
        let done = head.wrapping_sub(self.head);
        if done > self.tail.wrapping_sub(self.head) || !head.is_multiple_of(ALIGN as u64) {
            let tail = self.tail;
            return Err(PushError::Fault(Fault::Index { tail, head }));
        }
        self.head = head;
        match self.room() >= len as u64 {
            true => Ok(()),
            false => Err(PushError::Full),
        }
    }

    /// The count of bytes that were published.
    #[inline]
    pub const fn position(&self) -> u64 {
        self.tail
    }

    /// Whether the consumer has done all up to a position that
    /// [`Producer::position`] gave. It tells so late: see [`Consumer::next`].
    #[inline]
    pub fn consumed(&self, position: u64) -> bool {
        let head = self.slice.word(self.ring.head).load(Ordering::Acquire);
        self.tail.wrapping_sub(head) <= self.tail.wrapping_sub(position)
    }
}

#[inline]
fn store<W: Word>(words: &[W], values: &[u64]) {
    for (word, &value) in words.iter().zip(values) {
        word.store(value, Ordering::Relaxed);
    }
}

/// Stores bytes, and zeros in what remains of the words.
#[inline(always)]
fn store_bytes<W: Word>(words: &[W], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks();
    let (words, behind) = words.split_at(whole.len());
    for (word, &bytes) in words.iter().zip(whole) {
        word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    }
    let mut value = ending(rest);
    for word in behind {
        word.store(value, Ordering::Relaxed);
        value = 0;
    }
}

/// Fewer bytes than a word has, as one. Half of one is what there is most often;
/// to copy any number of them would be a call.
#[inline(always)]
fn ending(bytes: &[u8]) -> u64 {
    let fold = |bytes: &[u8]| {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    match bytes.split_first_chunk() {
        Some((half, behind)) => u64::from(u32::from_le_bytes(*half)) | fold(behind) << 32,
        None => fold(bytes),
    }
}

/// The half that reads records, each word of them once.
#[derive(Debug)]
pub struct Consumer<M> {
    slice: Slice<M>,
    ring: Ring,
    head: u64,
    /// The producer's index as last seen and checked.
    tail: u64,
    /// The last `head` that the producer was shown.
    published: u64,
    fault: Option<Fault>,
}

/// What a look into a ring found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A record, which was copied.
    Record,
    /// Nothing; all room was given back.
    Empty,
}

impl<M: Memory> Consumer<M> {
    /// The consumer of a ring that nothing was read from yet.
    pub const fn new(slice: Slice<M>, ring: Ring) -> Self {
        Self::at(slice, ring, [0; 3])
    }

    /// The consumer in the middle of a ring's life: counts of bytes read, of bytes that
    /// the producer was seen to have written, and of bytes that it was told are read.
    /// It is for proofs, as [`Producer::at`].
    pub const fn at(slice: Slice<M>, ring: Ring, [head, tail, published]: [u64; 3]) -> Self {
        Self {
            slice,
            ring,
            head,
            tail,
            published,
            fault: None,
        }
    }

    /// The three counts.
    pub const fn indices(&self) -> [u64; 3] {
        [self.head, self.tail, self.published]
    }

    /// Copies the next record into private memory. It takes time in proportion
    /// to the longest record, whatever the other side writes.
    ///
    /// The producer is told of records only when the next one is asked for:
    /// what they name outside the ring is then free as well.
    ///
    /// # Errors
    /// The producer broke the protocol; every later call says the same.
    #[inline]
    pub fn next(&mut self, into: &mut Record) -> Result<Next, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let found = self.take(into);
        self.fault = found.err();
        found
    }

    /// Whether there is a record that [`Consumer::next`] would give, or a fault.
    #[inline]
    pub fn ready(&self) -> bool {
        self.fault.is_some() || self.head != self.slice.word(self.ring.tail).load(Ordering::Acquire)
    }

    #[inline]
    fn take(&mut self, into: &mut Record) -> Result<Next, Fault> {
        // Not after the copy: who asks for the next record has done the last.
        if self.head.wrapping_sub(self.published) >= self.ring.size as u64 / 8 {
            self.publish();
        }
        if self.head == self.tail {
            self.tail = self.read_tail()?;
            if self.head == self.tail {
                self.publish();
                return Ok(Next::Empty);
            }
        }
        let mut header = self.read_header()?;
        if header.op == PAD {
            let at = self.head;
            let to_end = self.ring.size - self.offset();
            if header.len as usize != to_end {
                let len = header.len;
                return Err(Fault::Pad { at, len });
            }
            self.head = self.head.wrapping_add(u64::from(header.len));
            if self.head == self.tail {
                // A pad is published with the record that it makes room for.
                return Err(Fault::Pad {
                    at,
                    len: header.len,
                });
            }
            header = self.read_header()?;
            if header.op == PAD {
                // It cannot reach the end from the start.
                return Err(Fault::Pad {
                    at: self.head,
                    len: header.len,
                });
            }
        }
        let len = header.len as usize;
        let words = self.slice.words(self.ring.data + self.offset(), len);
        let body = &words[HEADER_SIZE / 8..];
        for (to, from) in into.payload.iter_mut().zip(body) {
            *to = from.load(Ordering::Relaxed);
        }
        into.len = body.len();
        into.header = header;
        self.head = self.head.wrapping_add(len as u64);
        Ok(Next::Record)
    }

    #[inline]
    const fn offset(&self) -> usize {
        self.head as usize & (self.ring.size - 1)
    }

    #[inline]
    fn read_tail(&self) -> Result<u64, Fault> {
        let tail = self.slice.word(self.ring.tail).load(Ordering::Acquire);
        let used = tail.wrapping_sub(self.head);
        match used <= self.ring.size as u64 && tail.is_multiple_of(ALIGN as u64) {
            true => Ok(tail),
            false => Err(Fault::Index {
                tail,
                head: self.head,
            }),
        }
    }

    /// Reads the header at `head`, once, and checks its length.
    #[inline]
    fn read_header(&self) -> Result<Header, Fault> {
        let at = self.offset();
        let words = self.slice.words(self.ring.data + at, HEADER_SIZE);
        let read = |n: usize| words[n].load(Ordering::Relaxed);
        let header = Header::from_words([read(0), read(1)]);
        let len = header.len as usize;
        let published = self.tail.wrapping_sub(self.head);
        let valid = len >= HEADER_SIZE
            && len.is_multiple_of(ALIGN)
            && len <= self.ring.longest_record()
            && len as u64 <= published
            && len <= self.ring.size - at;
        match valid {
            true => Ok(header),
            false => Err(Fault::Length {
                at: self.head,
                len: header.len,
            }),
        }
    }

    #[inline]
    fn publish(&mut self) {
        if self.published != self.head {
            self.published = self.head;
            publish(self.slice.word(self.ring.head), self.head);
        }
    }

    /// The count of bytes that the producer knows it may use again.
    #[inline]
    pub const fn published(&self) -> u64 {
        self.published
    }
}
