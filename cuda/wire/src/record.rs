//! What records are made of, and who carries them.

use zerocopy::IntoBytes;

use crate::types::CUresult;

/// The words of an answer.
pub type Words = [u64; 14];

/// What a call of the driver API costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Sends nothing.
    Local,
    /// Sends, and does not wait.
    Asynchronous,
    /// Makes a handle in the program, sends, and does not wait.
    Shadow,
    /// Waits for the answer.
    Sync,
}

/// Carries messages to the host: an operation, the words of its message, and the
/// data that follows, whose length the record's header states (`aux`).
pub trait Caller {
    /// Why a message was not carried, or what the host answered.
    type Error;

    /// Sends a message that nobody waits for.
    ///
    /// # Errors
    /// It was not sent.
    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), Self::Error>;

    /// Sends a message, and waits for its answer: the first words of it, missing ones
    /// as 0.
    ///
    /// # Errors
    /// It was not sent, or the host answers with an error.
    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<[u64; M], Self::Error>;
}

/// The program's side: one method for each message.
#[derive(Clone, Copy, Debug)]
pub struct Client<C>(pub C);

/// A record that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no such operation.
    #[error("unknown operation {0:#06x}")]
    Operation(u16),
    /// It ends before its fields, or before its data.
    #[error("operation {0:#06x} is cut off")]
    Short(u16),
    /// A field's value is not one of its type.
    #[error("operation {op:#06x} has a field of {value:#x}")]
    Range {
        /// The operation.
        op: u16,
        /// The value.
        value: u64,
    },
}

/// What a handled message gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the program waits for it.
    pub awaited: bool,
    /// How it went.
    pub status: CUresult,
    words: Words,
    count: usize,
}

impl Answer {
    pub(crate) fn silent(result: Result<(), CUresult>) -> Self {
        Self {
            awaited: false,
            ..Self::words(result.map(|()| []))
        }
    }

    pub(crate) fn words<const N: usize>(result: Result<[u64; N], CUresult>) -> Self {
        let mut words = Words::default();
        let (status, count) = match result {
            Ok(values) => {
                words[..N].copy_from_slice(&values);
                (CUresult::CUDA_SUCCESS, N)
            }
            Err(status) => (status, 0),
        };
        Self {
            awaited: true,
            status,
            words,
            count,
        }
    }

    /// What goes into the reply slot: without the zeros at its end, which the program has anyway.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let words = &self.words[..self.count];
        let used = words.iter().rposition(|&word| word != 0);
        words[..used.map_or(0, |last| last + 1)].as_bytes()
    }
}

/// Two fields as a word.
#[inline]
pub(crate) const fn pair(low: u64, high: u64) -> u64 {
    low | high << 32
}

/// The first of two fields.
#[inline]
pub(crate) const fn low(word: u64) -> u64 {
    word & u32::MAX as u64
}

/// The second of two fields.
#[inline]
pub(crate) const fn high(word: u64) -> u64 {
    word >> 32
}

#[inline]
pub(crate) fn narrow<T: TryFrom<u64>>(op: u16, value: u64) -> Result<T, Malformed> {
    T::try_from(value).map_err(|_| Malformed::Range { op, value })
}

/// The first words of a payload, and what follows.
#[inline]
pub(crate) fn split<const N: usize>(
    op: u16,
    payload: &[u8],
) -> Result<([u64; N], &[u8]), Malformed> {
    let (words, _) = payload.as_chunks();
    let words = words.first_chunk::<N>().ok_or(Malformed::Short(op))?;
    let rest = &payload[size_of_val(words)..];
    Ok((words.map(u64::from_le_bytes), rest))
}

#[inline]
pub(crate) fn data(op: u16, rest: &[u8], length: u32) -> Result<&[u8], Malformed> {
    rest.get(..length as usize).ok_or(Malformed::Short(op))
}
