/// A fundamental type. Source: PTX ISA 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[rustfmt::skip]
pub enum Type {
    U8, U16, U32, U64, S8, S16, S32, S64, B8, B16, B32, B64,
    F16, F16x2, Bf16, Bf16x2, F32, F64, Pred,
}

/// How the bits of a type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// `.u8` to `.u64`.
    Unsigned,
    /// `.s8` to `.s64`.
    Signed,
    /// `.b8` to `.b64`.
    Untyped,
    /// `.f16` to `.f64`, `.bf16`, and the packed pairs.
    Float,
    /// `.pred`.
    Predicate,
}

#[rustfmt::skip]
const NAMES: [(&str, Type, u8, Class); 19] = [
    ("u8", Type::U8, 1, Class::Unsigned), ("u16", Type::U16, 2, Class::Unsigned),
    ("u32", Type::U32, 4, Class::Unsigned), ("u64", Type::U64, 8, Class::Unsigned),
    ("s8", Type::S8, 1, Class::Signed), ("s16", Type::S16, 2, Class::Signed),
    ("s32", Type::S32, 4, Class::Signed), ("s64", Type::S64, 8, Class::Signed),
    ("b8", Type::B8, 1, Class::Untyped), ("b16", Type::B16, 2, Class::Untyped),
    ("b32", Type::B32, 4, Class::Untyped), ("b64", Type::B64, 8, Class::Untyped),
    ("f16", Type::F16, 2, Class::Float), ("f16x2", Type::F16x2, 4, Class::Float),
    ("bf16", Type::Bf16, 2, Class::Float), ("bf16x2", Type::Bf16x2, 4, Class::Float),
    ("f32", Type::F32, 4, Class::Float), ("f64", Type::F64, 8, Class::Float),
    ("pred", Type::Pred, 0, Class::Predicate),
];

impl Type {
    /// The type of a word without its dot, such as `u32`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let row = NAMES.iter().find(|row| row.0 == word)?;
        Some(row.1)
    }

    fn row(self) -> &'static (&'static str, Type, u8, Class) {
        // The table has every variant; its first row stands in for none.
        let [first, ..] = &NAMES;
        NAMES.iter().find(|row| row.1 == self).unwrap_or(first)
    }

    /// The word, without the dot.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Bytes in memory; 0 for a predicate, which has no place there.
    #[must_use]
    pub fn size(self) -> u8 {
        self.row().2
    }

    /// How the bits are read.
    #[must_use]
    pub fn class(self) -> Class {
        self.row().3
    }
}
