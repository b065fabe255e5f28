//! What an emulator may say, as far as it can be told without its machine.

use std::iter::Sum;

use rustix::io::Errno;
use vgpu_abi::bar0::CHANNELS;
use vgpu_abi::link::{ADD, ADOPT, CLOSE, DELETE, FILES, Message, OPEN, PAGE, RESET};
use vgpu_abi::segment::{PAGE as GRAIN, PIECES_MAX};

/// A kind of message.
struct Kind {
    kind: u32,
    /// Descriptors beside the files of its memory.
    descriptors: usize,
    memory: bool,
}

const fn kind(kind: u32, descriptors: usize, memory: bool) -> Kind {
    Kind {
        kind,
        descriptors,
        memory,
    }
}

/// All that come once the emulator is attached.
const KINDS: [Kind; 7] = [
    kind(PAGE, 1, true),
    kind(OPEN, 3, true),
    kind(CLOSE, 0, false),
    kind(ADD, 1, true),
    kind(DELETE, 0, false),
    kind(RESET, 0, false),
    kind(ADOPT, 1, false),
];

/// Whether it is a message at all. Who sends another does not speak this protocol.
pub(crate) fn check(message: &Message, descriptors: usize) -> Result<(), &'static str> {
    let Some(kind) = KINDS.iter().find(|kind| kind.kind == message.kind) else {
        return Err("a message of no known kind");
    };
    let files = message.files as usize;
    let (least, most) = if kind.memory { (1, FILES) } else { (0, 0) };
    if (least..=most).contains(&files) && descriptors == kind.descriptors + files {
        Ok(())
    } else {
        Err("a message with a wrong number of descriptors")
    }
}

/// What a message asks of its machine's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
    pub(crate) pieces: u32,
}

impl Size {
    pub(crate) fn of(message: &Message) -> Result<Self, Errno> {
        let whole = message.length != 0 && message.length.is_multiple_of(GRAIN);
        if whole && (1..=PIECES_MAX).contains(&message.pieces) {
            Ok(Self {
                bytes: message.length,
                pieces: message.pieces,
            })
        } else {
            Err(Errno::INVAL)
        }
    }

    /// Both together, where that is no more than `memory` bytes in as many pieces as a device's may be in.
    pub(crate) fn plus(self, other: Self, memory: u64) -> Result<Self, Errno> {
        let sum = Self {
            bytes: self.bytes.saturating_add(other.bytes),
            pieces: self.pieces.saturating_add(other.pieces),
        };
        match sum {
            _ if sum.bytes > memory => Err(Errno::NOMEM),
            _ if sum.pieces > PIECES_MAX => Err(Errno::NOSPC),
            _ => Ok(sum),
        }
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| Self {
            bytes: sum.bytes.saturating_add(size.bytes),
            pieces: sum.pieces.saturating_add(size.pieces),
        })
    }
}

/// Whether there can be such a channel.
pub(crate) fn channel(message: &Message) -> Result<u32, Errno> {
    let possible = message.channel < u32::from(CHANNELS);
    possible.then_some(message.channel).ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_descriptors_of_its_kind() {
        let of = |kind, files, descriptors| {
            let message = Message {
                kind,
                files,
                ..Message::default()
            };
            check(&message, descriptors).is_ok()
        };
        for (kind, files, descriptors) in [
            (PAGE, 1, 2),
            (OPEN, 1, 4),
            (OPEN, 13, 16),
            (CLOSE, 0, 0),
            (ADD, 2, 3),
            (DELETE, 0, 0),
            (RESET, 0, 0),
            (ADOPT, 0, 1),
        ] {
            assert!(of(kind, files, descriptors), "{kind}");
            assert!(!of(kind, files, descriptors + 1), "{kind}");
            assert!(!of(kind, files + 1, descriptors), "{kind}");
            assert!(!of(kind, u32::MAX, descriptors), "{kind}");
        }
        for kind in [PAGE, OPEN, ADD] {
            assert!(
                !of(kind, 0, if kind == OPEN { 3 } else { 1 }),
                "{kind}: no file"
            );
        }
        for kind in [0, vgpu_abi::link::ATTACH, vgpu_abi::link::DONE, u32::MAX] {
            assert!(!of(kind, 0, 0), "{kind}");
        }
    }

    #[test]
    fn a_machine_has_no_more_than_it_may() {
        let size = |bytes, pieces| Size { bytes, pieces };
        let used = size(4096, PIECES_MAX - 1);
        assert_eq!(used.plus(size(4096, 1), 8192), Ok(size(8192, PIECES_MAX)));
        assert_eq!(used.plus(size(8192, 1), 8192), Err(Errno::NOMEM));
        assert_eq!(used.plus(size(u64::MAX, 1), 8192), Err(Errno::NOMEM));
        assert_eq!(used.plus(size(4096, 2), 8192), Err(Errno::NOSPC));
        for (length, pieces) in [(0, 1), (100, 1), (4096, 0), (4096, PIECES_MAX + 1)] {
            let message = Message {
                length,
                pieces,
                ..Message::default()
            };
            assert_eq!(Size::of(&message), Err(Errno::INVAL), "{length} {pieces}");
        }
    }
}
