//! What an operand has to be, and numbers and special registers as operands.

use vgpu_ptx::{Component, Operand as Written, Register, Type, shortened};

use crate::instruction::{Modifiers, Special};
use crate::table::Width;

/// The type that an operand has to have.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    ty: Type,
    size: u8,
    wider: bool,
}

impl Expected {
    pub(crate) fn exactly(ty: Type) -> Self {
        Self {
            ty,
            size: ty.size(),
            wider: false,
        }
    }

    pub(crate) fn new(width: Width, modifiers: &Modifiers) -> Self {
        let [first, second, _] = modifiers.types;
        let exactly = Self::exactly;
        match width {
            Width::First => exactly(first),
            Width::Second => exactly(second),
            Width::Exactly(ty) => exactly(ty),
            Width::Twice => Self {
                size: first.size() * 2,
                ..exactly(first)
            },
            Width::AtLeast => Self {
                wider: true,
                ..exactly(first)
            },
            Width::AtLeastSecond => Self {
                wider: true,
                ..exactly(second)
            },
        }
    }

    pub(crate) fn check(self, register: Register<'_>) -> Result<(), String> {
        let has = register.ty.size();
        if has == self.size || self.wider && has > self.size {
            return Ok(());
        }
        let (name, ty) = (shortened(register.name), register.ty.name());
        let bits = u32::from(self.size) * 8;
        Err(format!("`{name}` is `.{ty}`, and {bits} bits are taken"))
    }

    /// A number as the bits of the type. Source: PTX ISA 4.5.
    pub(crate) fn number(self, written: &Written<'_>) -> Result<u64, String> {
        let float = self.ty.class() == vgpu_ptx::Class::Float;
        let value = match (written, float, self.size) {
            // What is narrower than a single is given by its bits.
            (Written::Integer(value), false, _) | (Written::Integer(value), true, 2) => {
                return Ok(*value as u64);
            }
            (Written::Integer(_), true, _) => return Err("an integer for a float".into()),
            (Written::Single(bits), false, 4) => return Ok(u64::from(*bits)),
            (Written::Double(bits), false, 8) => return Ok(*bits),
            (Written::Single(bits), true, _) => f64::from(f32::from_bits(*bits)),
            (Written::Double(bits), true, _) => f64::from_bits(*bits),
            (Written::Single(_) | Written::Double(_), false, _) => {
                return Err("a float of another width".into());
            }
            _ => return Err("neither a register nor a number".into()),
        };
        Ok(match (self.size, written) {
            (8, _) => value.to_bits(),
            (4, Written::Single(bits)) => u64::from(*bits),
            (4, _) => u64::from((value as f32).to_bits()),
            _ => u64::from(half::f16::from_f64(value).to_bits()),
        })
    }
}

/// Source: PTX ISA 10.
pub(crate) fn special(name: &str, component: Option<Component>) -> Option<Special> {
    let axis = match component {
        Some(Component::X) => 0,
        Some(Component::Y) => 1,
        Some(Component::Z) => 2,
        Some(Component::W) => return Some(Special::Zero),
        None => u8::MAX,
    };
    let vector = axis < 3;
    Some(match name {
        "%tid" if vector => Special::Thread(axis),
        "%ntid" if vector => Special::Threads(axis),
        "%ctaid" if vector => Special::Block(axis),
        "%nctaid" if vector => Special::Blocks(axis),
        "%clusterid" if vector => Special::Block(axis),
        "%nclusterid" if vector => Special::Blocks(axis),
        "%cluster_ctaid" if vector => Special::Zero,
        "%cluster_nctaid" if vector => Special::One,
        _ if vector => return None,
        "%laneid" => Special::Lane,
        "%warpid" => Special::Warp,
        "%nwarpid" => Special::Warps,
        "%smid" | "%cluster_ctarank" => Special::Zero,
        "%nsmid" | "%cluster_nctarank" => Special::One,
        "%gridid" => Special::Grid,
        "%lanemask_eq" => Special::LanesEqual,
        "%lanemask_lt" => Special::LanesLess,
        "%lanemask_le" => Special::LanesLessEqual,
        "%lanemask_gt" => Special::LanesGreater,
        "%lanemask_ge" => Special::LanesGreaterEqual,
        "%clock" | "%clock64" | "%globaltimer" | "%globaltimer_lo" => Special::Clock,
        "%clock_hi" | "%globaltimer_hi" => Special::ClockHigh,
        "%dynamic_smem_size" => Special::DynamicShared,
        "%total_smem_size" => Special::TotalShared,
        _ => return None,
    })
}
