//! Instructions whose result is a product and a sum of their sources, modulo a power of two.

/// `d = value · factor + plus`: which operand is what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Linear {
    shape: Shape,
    /// Of factors of 32 bits that are extended to 64 first: whether they are signed.
    pub(crate) extended: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Copy,
    Sum,
    Difference,
    Product,
    ProductSum,
    /// A product with a power of two.
    Power,
}

/// What a value is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor<O> {
    One,
    MinusOne,
    Of(O),
    /// Two to the power of it.
    Power(O),
}

/// One way to read an instruction: the places of value, factor and summand among the operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) value: usize,
    pub(crate) factor: Factor<usize>,
    pub(crate) plus: Option<usize>,
}

impl Linear {
    /// What the words of an instruction say. Source: PTX ISA 9.7.1, 9.7.8.8, 9.7.9.
    pub(crate) fn of(words: &[&str]) -> Option<Self> {
        let (shape, ty) = match *words {
            ["mov", ty] | ["cvta", "global", ty] | ["cvta", "to", "global", ty] => {
                (Shape::Copy, ty)
            }
            ["add", ty] => (Shape::Sum, ty),
            ["sub", ty] => (Shape::Difference, ty),
            ["mul", "lo", ty] => (Shape::Product, ty),
            ["mad", "lo", ty] => (Shape::ProductSum, ty),
            ["shl", ty] => (Shape::Power, ty),
            ["cvt", "u64" | "s64", ty] => return Self::extended(Shape::Copy, ty),
            ["mul", "wide", ty] => return Self::extended(Shape::Product, ty),
            ["mad", "wide", ty] => return Self::extended(Shape::ProductSum, ty),
            _ => return None,
        };
        let whole = matches!(ty, "b32" | "u32" | "s32" | "b64" | "u64" | "s64");
        whole.then_some(Self {
            shape,
            extended: None,
        })
    }

    fn extended(shape: Shape, ty: &str) -> Option<Self> {
        let extended = match ty {
            "u32" => Some(false),
            "s32" => Some(true),
            _ => return None,
        };
        Some(Self { shape, extended })
    }

    /// The ways to read it: either factor of a product may be the value.
    pub(crate) fn terms(self) -> [Option<Terms>; 2] {
        let terms = |value, factor, plus| {
            Some(Terms {
                value,
                factor,
                plus,
            })
        };
        match self.shape {
            Shape::Copy => [terms(1, Factor::One, None), None],
            Shape::Sum => [terms(1, Factor::One, Some(2)), None],
            Shape::Difference => [terms(2, Factor::MinusOne, Some(1)), None],
            Shape::Power => [terms(1, Factor::Power(2), None), None],
            Shape::Product => [terms(1, Factor::Of(2), None), terms(2, Factor::Of(1), None)],
            Shape::ProductSum => [
                terms(1, Factor::Of(2), Some(3)),
                terms(2, Factor::Of(1), Some(3)),
            ],
        }
    }
}
