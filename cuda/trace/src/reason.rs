//! What calls wait for.

/// What a call waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The answer to a message.
    Answer,
    /// Room in the ring.
    Room,
    /// A free piece of the arena.
    Arena,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Answer, Self::Room, Self::Arena];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Room => "room in the ring",
            Self::Arena => "room in the arena",
        }
    }
}
