//! Every spelling of every arithmetic form, each as a kernel of its own over
//! edges and random bits, against the reference: bit for bit.

mod common;

use common::places::{Place, places};
use common::reference::{Kind, Ty, results};
use common::{Device, Random, bytes_of, oracle};
use vgpu_simt::Form;

/// Rows of one kernel; of a comparison, of which there are many.
const ROWS: usize = 256;
const COMPARED: usize = 64;

/// Edges of a type; the numbers of shifts and fields are small ones too.
fn edges(ty: Ty) -> Vec<u64> {
    match (ty.kind, ty.bits, ty.pair) {
        (Kind::Predicate, ..) => vec![0, 1],
        (Kind::Brain, ..) | (Kind::Float, 16, _) => {
            let numbers: [u64; 14] = match ty.kind {
                Kind::Brain => [
                    0, 1, 0x7f, 0x80, 0x3f80, 0x3f81, 0x3f7f, 0x3f00, 0x7f7f, 0x7f80, 0x7fc0,
                    0x4049, 0x4b00, 0x0180,
                ],
                _ => [
                    0, 1, 0x3ff, 0x400, 0x3c00, 0x3c01, 0x3bff, 0x3800, 0x7bff, 0x7c00, 0x7e00,
                    0x4248, 0x6400, 0x1400,
                ],
            };
            let signed: Vec<u64> = numbers.iter().flat_map(|n| [*n, n | 0x8000]).collect();
            match ty.pair {
                false => signed,
                true => {
                    let upper = signed.iter().cycle().skip(5);
                    signed.iter().zip(upper).map(|(a, b)| a | b << 16).collect()
                }
            }
        }
        // Also halfway between two that have 7 or 10 bits behind the point.
        (Kind::Float, 32, _) => {
            let ties = [0x3f80_8000, 0x3f81_8000, 0x3f80_1000, 0xbf80_3000];
            [oracle::singles(), ties.to_vec()].concat()
        }
        (Kind::Float, ..) => oracle::doubles(),
        (_, 64, _) => oracle::LONGS.to_vec(),
        (_, bits, _) => {
            let mask = u64::MAX >> (64 - bits);
            oracle::WORDS.map(|word| word & mask).to_vec()
        }
    }
}

/// Edges in as many combinations as there is room for, and random bits: every
/// other time of floats near each other.
fn rows(sources: &[Place], most: usize, random: &mut Random) -> Vec<Vec<u64>> {
    let all: Vec<Vec<u64>> = sources.iter().map(|place| edges(place.ty)).collect();
    let combinations: usize = all.iter().map(Vec::len).product();
    let chosen = most * 3 / 4;
    let step = (combinations / chosen).max(1) | 1;
    let mut rows: Vec<Vec<u64>> = Vec::new();
    for number in 0..chosen.min(combinations) {
        let mut rest = number * step % combinations;
        rows.push(
            all.iter()
                .map(|edges| {
                    let edge = edges[rest % edges.len()];
                    rest /= edges.len();
                    edge
                })
                .collect(),
        );
    }
    while rows.len() < most {
        let near = rows.len().is_multiple_of(2);
        let one = |place: &Place| {
            let bits = random.bits() & (u64::MAX >> (64 - place.ty.width()));
            match (near, place.ty.kind, place.ty.bits) {
                (true, Kind::Float, 32) => bits & 0x80ff_ffff | 0x3f00_0000,
                (true, Kind::Float, 64) => bits & !(0x7ff << 52) | 0x3ff << 52,
                _ => bits,
            }
        };
        rows.push(sources.iter().map(one).collect());
    }
    // What is above a type in a wider register does not count.
    for row in &mut rows {
        for (bits, place) in row.iter_mut().zip(sources) {
            if place.register > place.ty.width() && place.register > 16 {
                *bits |= random.bits() << place.ty.width();
            }
        }
    }
    rows
}

/// The results of one instruction, row by row.
fn execute(
    form: &str,
    out: &[Place],
    input: &[Place],
    last: &str,
    rows: &[Vec<u64>],
) -> Vec<Vec<u64>> {
    let (mut declared, mut loads, mut stores) = (String::new(), String::new(), String::new());
    let (from, to) = (input.len() * 8, out.len() * 8);
    for (index, place) in input.iter().enumerate() {
        let offset = index * 8;
        match place.register {
            0 => {
                declared += &format!(".reg .pred %s{index};\n");
                loads +=
                    &format!("ld.global.u32 %w, [%in+{offset}]; setp.ne.u32 %s{index}, %w, 0;\n");
            }
            bits => {
                declared += &format!(".reg .b{bits} %s{index};\n");
                loads += &format!("ld.global.b{bits} %s{index}, [%in+{offset}];\n");
            }
        }
    }
    for (index, place) in out.iter().enumerate() {
        let offset = index * 8;
        match place.register {
            0 => {
                declared += &format!(".reg .pred %d{index};\n");
                stores +=
                    &format!("selp.u32 %w, 1, 0, %d{index}; st.global.u32 [%out+{offset}], %w;\n");
            }
            bits => {
                declared += &format!(".reg .b{bits} %d{index};\n");
                stores += &format!("st.global.b{bits} [%out+{offset}], %d{index};\n");
            }
        }
    }
    let names = |letter: char, count: usize, between: &str| {
        let all: Vec<_> = (0..count).map(|i| format!("%{letter}{i}")).collect();
        all.join(between)
    };
    let (results, sources) = (names('d', out.len(), "|"), names('s', input.len(), ", "));
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n
        .visible .entry test(.param .u64 in, .param .u64 out) {{
        .reg .b64 %in, %out; .reg .b32 %i, %w;
        {declared}
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out];
        mov.u32 %i, %tid.x;
        mad.wide.u32 %in, %i, {from}, %in; mad.wide.u32 %out, %i, {to}, %out;
        {loads}
        {form} {results}, {sources}{last};
        {stores} ret; }}"
    );
    let mut device = Device::new(&text);
    device.about(&format!("{form}{last}"));
    let flat: Vec<u64> = rows.iter().flatten().copied().collect();
    let from = device.buffer(&bytes_of(&flat, |v| v.to_le_bytes()));
    let to = device.buffer(&vec![0; rows.len() * out.len() * 8]);
    let parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    let threads = rows.len() as u32;
    device
        .launch("test", 1, threads, &parameters)
        .unwrap_or_else(|error| panic!("{form}: {error}"));
    let bytes = device.bytes(to, rows.len() * out.len() * 8);
    let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("eight"));
    let words: Vec<u64> = bytes.chunks_exact(8).map(word).collect();
    words.chunks(out.len()).map(<[u64]>::to_vec).collect()
}

/// Holds one spelling against the reference; whether the reference knows it.
fn holds(form: &Form, spelling: &str, random: &mut Random) -> bool {
    let words: Vec<&str> = spelling.split('.').collect();
    let Some((out, mut input)) = places(form.syntax, &words, random.bits() & 1 != 0) else {
        return false;
    };
    // The table of a lookup is a number in the text.
    let tables: &[u64] = match words[0] {
        "lop3" => &[0xd8, 0x96, 0xe8, 0x01, 0xff],
        _ => &[0],
    };
    if words[0] == "lop3" {
        input.pop();
    }
    let known = results(&words, &vec![0; input.len() + 1]).is_some();
    if !known {
        return false;
    }
    for table in tables {
        let last = match words[0] {
            "lop3" => format!(", {table}"),
            _ => String::new(),
        };
        let most = match words[0] {
            "set" | "setp" => COMPARED,
            _ => ROWS,
        };
        let rows = rows(&input, most, random);
        let got = execute(spelling, &out, &input, &last, &rows);
        for (row, got) in rows.iter().zip(got) {
            let mut given: Vec<u64> = row
                .iter()
                .zip(&input)
                .map(|(bits, place)| bits & (u64::MAX >> (64 - place.ty.width())))
                .collect();
            if words[0] == "lop3" {
                given.push(*table);
            }
            let expected = results(&words, &given).expect("known");
            for ((got, expected), place) in got.iter().zip(&expected).zip(&out) {
                let width = place.register.max(1);
                let expected = expected & (u64::MAX >> (64 - width));
                let parts = if place.ty.pair { 2 } else { 1 };
                let same = (0..parts).all(|part| {
                    let shift = part * 16;
                    let mask = if parts == 2 { 0xffff } else { u64::MAX };
                    let (got, expected) = (got >> shift & mask, expected >> shift & mask);
                    got == expected || place.ty.nan(got) && place.ty.nan(expected)
                });
                assert!(
                    same,
                    "{spelling} {row:x?}: {got:#x}, expected {expected:#x}"
                );
            }
        }
    }
    true
}

/// Holds all spellings of the rows whose opcode is one of these, and returns
/// how many there were.
fn all_of(opcodes: &[&str]) -> usize {
    let mut random = Random(opcodes.len() as u64);
    let mut count = 0;
    for form in vgpu_simt::forms() {
        let end = form
            .syntax
            .find(['.', '{', ' '])
            .unwrap_or(form.syntax.len());
        if !opcodes.contains(&&form.syntax[..end]) {
            continue;
        }
        for spelling in form.spellings() {
            count += usize::from(holds(form, &spelling, &mut random));
        }
    }
    count
}

/// So many spellings at least, so that a test that holds nothing fails.
fn hold(opcodes: &[&str], least: usize) {
    let count = all_of(opcodes);
    println!("{count} spellings");
    assert!(count >= least, "{count} spellings");
}

#[test]
fn arithmetic() {
    let opcodes = [
        "add", "sub", "mul", "mad", "fma", "div", "rem", "abs", "neg", "min", "max", "rcp", "sqrt",
        "copysign", "sad", "mul24", "mad24", "dp4a", "dp2a",
    ];
    hold(&opcodes, 400);
}

#[test]
fn bits() {
    let opcodes = [
        "and", "or", "xor", "not", "cnot", "lop3", "shl", "shr", "shf", "prmt", "popc", "clz",
        "bfind", "brev", "bfe", "bfi", "fns", "szext", "bmsk",
    ];
    hold(&opcodes, 70);
}

#[test]
fn comparisons() {
    hold(&["setp", "selp", "slct", "testp"], 650);
}

#[test]
fn comparisons_that_give_a_number() {
    hold(&["set"], 1700);
}

#[test]
fn conversions() {
    hold(&["cvt"], 600);
}
