//! The table of forms: which words with which operands mean what.
//!
//! A row's syntax is written as the PTX ISA writes it, on one line:
//!
//! | | |
//! |---|---|
//! | `add{.sat}.[u32 s32]` | an optional word; one word of several |
//! | `{~[ca cg]}` | an optional word that changes nothing here, such as for a cache |
//! | `d`, `a` to `e` | a result, a source, of the first type |
//! | `a:1`, `a:u32`, `d:wide` | of the second type, of a type, of twice the width |
//! | `d:any` | of the first type or wider |
//! | `p`, `!c` | a predicate as result, as source |
//! | `p[\|q]`, `d[\|p]` | and a predicate, where wanted |
//! | `[a]` | an address |
//! | `{d}` | as many as `.v2` or `.v4` says |
//! | `{d*4}`, `{a*2}:b32` | so many registers |
//! | `<a>` | a vector that has the bits of the first type together |
//! | `label`, `labels`, `call` | an instruction; a list of them; what a call takes |
//! | `[b]`, `[g]` | an address more, in the same space, in global memory; what is added to it follows |
//! | `n`, `n:4\|8` | a number; one of these |
//! | `d.part`, `a.part` | all of a register, or a byte or a half; which follows |
//! | `-a.part`, `-c` | with `-` before it, where wanted |
//! | `d.mask2`, `d.mask4` | those halves or bytes of a result that are wanted |
//! | `a.pick2`, `b.pick4` | halves or bytes, picked out of `a` and `b` |
//! | `b?` | may be left out |
//! | `-` | no result |
//! | `warp` | no operand: all lanes of the warp do it together |

use std::collections::HashMap;
use std::sync::LazyLock;

use vgpu_ptx::Type;

use crate::form::Form;
use crate::forms;
use crate::instruction::Space;
use crate::selection::Selection;

/// The width that an operand has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    First,
    Second,
    Exactly(Type),
    Twice,
    AtLeast,
    AtLeastSecond,
}

/// What an operand may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Result(Width),
    Source(Width),
    PredicateResult,
    PredicateSource,
    /// Two predicates, or the first alone.
    Predicates,
    /// A result, and a predicate or nothing.
    ResultAndPredicate,
    Address,
    /// A second one, which lies in global memory or where the form's words say.
    OtherAddress(Option<Space>),
    /// A number: one of those whose bits are set, or any.
    Number(Option<u32>),
    /// A register of 32 bits and what of it: as a result, and with `-` before it.
    Selected {
        of: Selection,
        result: bool,
        negative: bool,
    },
    /// As many results as `.v2` or `.v4` says.
    Results,
    Sources,
    /// So many results in registers.
    ManyResults(usize, Width),
    ManySources(usize, Width),
    /// Parts that make up one value.
    Pack,
    Label,
    /// A list of labels.
    Labels,
    Call,
    /// No operand, in the place of a result.
    Nothing,
    /// No operand, in the place of the lanes that take part: all.
    Warp,
}

impl Shape {
    /// Whether it may be written.
    pub(crate) fn written(self) -> bool {
        matches!(
            self,
            Self::Result(_)
                | Self::PredicateResult
                | Self::Predicates
                | Self::ResultAndPredicate
                | Self::Results
                | Self::ManyResults(..)
                | Self::Pack
        )
    }
}

#[derive(Debug, Clone)]
struct Slot {
    optional: bool,
    /// Whether the word changes nothing.
    hint: bool,
    choices: Vec<&'static str>,
}

/// A row, taken apart.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) form: &'static Form,
    slots: Vec<Slot>,
    /// Each with whether it may be left out.
    pub(crate) shapes: Vec<(Shape, bool)>,
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Compiled>>> = LazyLock::new(|| {
    let mut table: HashMap<_, Vec<_>> = HashMap::new();
    for form in all() {
        let (opcode, compiled) = compile(form);
        table.entry(opcode).or_default().push(compiled);
    }
    table
});

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Form> {
    forms::TABLES.iter().flat_map(|table| table.iter())
}

/// The rows whose words are `words`.
pub(crate) fn rows<'a>(words: &'a [&'a str]) -> impl Iterator<Item = &'static Compiled> + 'a {
    let opcode = words.first().copied().unwrap_or_default();
    let rows = TABLE.get(opcode).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| row.takes(&words[1..]))
}

impl Compiled {
    fn takes(&self, words: &[&str]) -> bool {
        let mut rest = words.iter();
        let mut next = rest.next();
        for slot in &self.slots {
            if next.is_some_and(|word| slot.choices.contains(word)) {
                next = rest.next();
            } else if !slot.optional {
                return false;
            }
        }
        next.is_none()
    }
}

fn compile(form: &'static Form) -> (&'static str, Compiled) {
    // A choice and an optional operand have blanks inside brackets only.
    let mut depth = 0;
    let end = form.syntax.find(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ' ' && depth == 0
    });
    let (words, operands) = form.syntax.split_at(end.unwrap_or(form.syntax.len()));
    let start = words.find(['.', '{']).unwrap_or(words.len());
    let (opcode, mut rest) = words.split_at(start);
    let mut slots = Vec::new();
    while !rest.is_empty() {
        let optional = rest.starts_with('{');
        let hint = rest.starts_with("{~");
        rest = rest.trim_start_matches(['{', '.', '~']);
        let (choices, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => rest.split_at(rest.find(['.', '{', '}']).unwrap_or(rest.len())),
        };
        rest = after.trim_start_matches('}');
        slots.push(Slot {
            optional,
            hint,
            choices: choices.split(' ').collect(),
        });
    }
    let shapes = operands
        .split(", ")
        .map(str::trim)
        .filter(|operand| !operand.is_empty())
        .map(shape)
        .collect();
    (
        opcode,
        Compiled {
            form,
            slots,
            shapes,
        },
    )
}

fn shape(text: &str) -> (Shape, bool) {
    let (text, optional) = match text.strip_suffix('?') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (name, width) = text.split_once(':').unwrap_or((text, ""));
    if let Some(selected) = selected(name) {
        return (selected, optional);
    }
    if name == "n" {
        let numbers = width.split('|').filter_map(|number| number.parse().ok());
        let numbers = numbers.fold(None, |all: Option<u32>, number: u32| {
            Some(all.unwrap_or(0) | 1 << number)
        });
        return (Shape::Number(numbers), optional);
    }
    let width = match width {
        "" => Width::First,
        "1" => Width::Second,
        "wide" => Width::Twice,
        "any" => Width::AtLeast,
        "any1" => Width::AtLeastSecond,
        ty => Width::Exactly(Type::parse(ty).unwrap_or(Type::B32)),
    };
    let many = name.trim_matches(['{', '}']).split_once('*');
    if let Some((name, Ok(count))) = many.map(|(name, count)| (name, count.parse())) {
        let shape = match name {
            "d" => Shape::ManyResults(count, width),
            _ => Shape::ManySources(count, width),
        };
        return (shape, optional);
    }
    let shape = match name {
        "warp" => Shape::Warp,
        "d" => Shape::Result(width),
        "p" => Shape::PredicateResult,
        "!a" | "!b" | "!c" => Shape::PredicateSource,
        "p[|q]" => Shape::Predicates,
        "d[|p]" => Shape::ResultAndPredicate,
        "[a]" => Shape::Address,
        "[b]" => Shape::OtherAddress(None),
        "[g]" => Shape::OtherAddress(Some(Space::Global)),
        "{d}" => Shape::Results,
        "{b}" => Shape::Sources,
        "<a>" | "<d>" => Shape::Pack,
        "label" => Shape::Label,
        "labels" => Shape::Labels,
        "call" => Shape::Call,
        "-" => Shape::Nothing,
        _ => Shape::Source(width),
    };
    (shape, optional)
}

/// The shape of `a.part`, `-c` and the like.
fn selected(name: &str) -> Option<Shape> {
    let (name, negative) = match name.strip_prefix('-') {
        Some(name) => (name, !name.is_empty()),
        None => (name, false),
    };
    let (name, word) = name.split_once('.').unwrap_or((name, ""));
    let of = match (word, name) {
        ("part", _) => Selection::Part,
        ("mask2", _) => Selection::Mask(2),
        ("mask4", _) => Selection::Mask(4),
        ("pick2", "a") => Selection::Pick(2, 0x10),
        ("pick2", _) => Selection::Pick(2, 0x32),
        ("pick4", "a") => Selection::Pick(4, 0x3210),
        ("pick4", _) => Selection::Pick(4, 0x7654),
        _ if negative => Selection::Whole,
        _ => return None,
    };
    let result = name == "d";
    Some(Shape::Selected {
        of,
        result,
        negative,
    })
}

impl Form {
    /// Every list of words that it takes, joined by dots; without those that
    /// change nothing.
    #[must_use]
    pub fn spellings(&'static self) -> Vec<String> {
        spelled(self)
    }
}

/// Every list of words that a row takes, joined by dots; without those that
/// change nothing.
pub(crate) fn spelled(form: &'static Form) -> Vec<String> {
    let (opcode, compiled) = compile(form);
    let mut all = vec![opcode.to_string()];
    for slot in compiled.slots.iter().filter(|slot| !slot.hint) {
        let mut longer = Vec::new();
        for prefix in &all {
            if slot.optional {
                longer.push(prefix.clone());
            }
            longer.extend(slot.choices.iter().map(|word| format!("{prefix}.{word}")));
        }
        all = longer;
    }
    all
}

/// What the table covers, as a page in Markdown: one line for each row.
#[must_use]
pub fn coverage() -> String {
    let mut page = String::from("| form | section | spellings |\n|---|---|---|\n");
    for form in all() {
        let syntax = form.syntax.replace('|', "\\|");
        let count = spelled(form).len();
        page += &format!("| `{syntax}` | {} | {count} |\n", form.section);
    }
    page
}

/// How many rows there are, and how many lists of words they take.
#[must_use]
pub fn counts() -> (usize, usize) {
    let spellings = all().map(|form| spelled(form).len()).sum();
    (all().count(), spellings)
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
