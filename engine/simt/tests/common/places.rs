//! The operands of a row of the table, as far as they are registers.

use super::reference::{Ty, results, types};

/// An operand of a row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) ty: Ty,
    /// Bits of its register; 0 for a predicate.
    pub(crate) register: u32,
}

/// The operands of a spelling: results, and sources; `None` where they are not
/// registers alone.
pub(crate) fn places(
    syntax: &str,
    words: &[&str],
    wider: bool,
) -> Option<(Vec<Place>, Vec<Place>)> {
    let mut depth = 0;
    let end = syntax.find(|c| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ' ' && depth == 0
    })?;
    let all = types(words);
    let (mut out, mut input) = (Vec::new(), Vec::new());
    let plain = |ty: Ty| Place {
        ty,
        register: ty.width().max(16),
    };
    let predicate = Place {
        ty: Ty::PREDICATE,
        register: 0,
    };
    for operand in syntax[end..].split(", ").map(str::trim) {
        let (name, width) = operand.split_once(':').unwrap_or((operand, ""));
        let ty = |index: usize| all.get(index).or(all.last()).copied();
        let place = match width {
            "" => ty(0).map(plain),
            "1" => ty(1).map(plain),
            "wide" => ty(0).map(|ty| {
                plain(Ty {
                    bits: ty.bits * 2,
                    ..ty
                })
            }),
            "any" | "any1" => {
                let mut place = plain(ty(usize::from(width == "any1"))?);
                if wider {
                    place.register = 64;
                }
                Some(place)
            }
            other => Ty::parse(other).map(plain),
        };
        match name {
            "d" => out.push(place?),
            "p" => out.push(predicate),
            "p[|q]" => out.extend([predicate; 2]),
            "a" | "b" | "c" | "e" => input.push(place?),
            "!a" | "!b" | "!c" => input.push(predicate),
            "!c?" if ["and", "or", "xor"].iter().any(|w| words.contains(w)) => {
                input.push(predicate);
            }
            "!c?" => {}
            _ => return None,
        }
    }
    Some((out, input))
}

/// Whether the reference knows a spelling of a row.
pub(crate) fn known(syntax: &str, spelling: &str) -> bool {
    let words: Vec<&str> = spelling.split('.').collect();
    let input = places(syntax, &words, false).map(|(_, input)| input.len());
    // A lookup's table is a number, and read by the reference.
    input.is_some_and(|count| results(&words, &vec![0; count + 1]).is_some())
}
