//! Video instructions: every spelling, with parts of registers at random, over
//! edges and random bits, against the pseudo code of PTX ISA 9.7.18.

mod common;

use common::{Device, Random, bytes_of};
use vgpu_device_memory::Memory;
use vgpu_simt::Program;

/// Rows of a kernel.
const ROWS: usize = 96;
/// How often each spelling has other parts.
const TIMES: usize = 3;

const PARTS: [&str; 7] = ["", ".b0", ".b1", ".b2", ".b3", ".h0", ".h1"];

fn clamp(value: i128, bits: u32, signed: bool) -> i128 {
    let (least, greatest) = match signed {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    };
    value.max(least).min(greatest)
}

/// So many low bits of a number, as the type reads them.
fn extended(value: i128, bits: u32, signed: bool) -> i128 {
    let low = value.rem_euclid(1 << bits);
    if signed && low >= 1 << (bits - 1) {
        low - (1 << bits)
    } else {
        low
    }
}

/// Where a part begins, and its bits.
fn place(part: &str) -> (u32, u32) {
    let digit = || part[2..].parse::<u32>().expect("a digit");
    match part.get(..2) {
        Some(".b") => (8 * digit(), 8),
        Some(".h") => (16 * digit(), 16),
        _ => (0, 32),
    }
}

fn part_select(x: u32, part: &str, signed: bool) -> i128 {
    let (start, bits) = place(part);
    extended(i128::from(x >> start), bits, signed)
}

fn compare(operator: &str, a: i128, b: i128) -> i128 {
    i128::from(match operator {
        "eq" => a == b,
        "ne" => a != b,
        "lt" => a < b,
        "le" => a <= b,
        "gt" => a > b,
        "ge" => a >= b,
        other => panic!("{other}"),
    })
}

/// The primary operation.
fn primary(words: &[&str], a: i128, b: i128) -> i128 {
    let amount = || match words.contains(&"wrap") {
        true => b & 0x1f,
        false => b.min(32),
    };
    match words[0].trim_end_matches(['2', '4']) {
        "vadd" => a + b,
        "vsub" => a - b,
        "vabsdiff" if a < b => b - a,
        "vabsdiff" => a - b,
        "vmin" => a.min(b),
        "vmax" => a.max(b),
        "vavrg" if a + b >= 0 => (a + b + 1) >> 1,
        "vavrg" => (a + b) >> 1,
        "vshl" => a * (1 << amount()),
        "vshr" => a.div_euclid(1 << amount()),
        "vset" => compare(words[3], a, b),
        other => panic!("{other}"),
    }
}

/// Whether result, `a` and `b` are signed.
fn signs(words: &[&str]) -> [bool; 3] {
    let signed = |word: &str| word == "s32";
    match words[0].starts_with("vset") {
        true => [false, signed(words[1]), signed(words[2])],
        false => [signed(words[1]), signed(words[2]), signed(words[3])],
    }
}

/// The words behind the operands: of the result, of `a`, of `b`; then the signs before `a`, `b`, `c`.
type Words<'a> = ([String; 3], [&'a str; 3]);

fn scalar(words: &[&str], parts: &[String; 3], [a, b, c]: [u32; 3], third: bool) -> u32 {
    let [signed, of_a, of_b] = signs(words);
    let (ta, tb) = (
        part_select(a, &parts[1], of_a),
        part_select(b, &parts[2], of_b),
    );
    let (start, bits) = place(&parts[0]);
    let mut tmp = primary(words, ta, tb);
    if words.contains(&"sat") {
        tmp = clamp(tmp, bits, signed);
    }
    let tmp = extended(tmp, 33, true);
    let c_value = extended(i128::from(c), 32, signed);
    let result = match words.last() {
        Some(&"add") if third => tmp + c_value,
        Some(&"min") if third => tmp.min(c_value),
        Some(&"max") if third => tmp.max(c_value),
        _ => tmp,
    };
    if bits == 32 {
        return result as u32;
    }
    let field = ((1u64 << bits) - 1) as u32;
    ((result as u32 & field) << start) | (c & !(field << start))
}

fn vmad(words: &[&str], parts: &[String; 3], minus: &[&str; 3], [a, b, c]: [u32; 3]) -> u32 {
    let [_, of_a, of_b] = signs(words);
    let product_negated = minus[0] != minus[1];
    let signed = of_a || of_b || product_negated || minus[2] == "-";
    let mut tmp = part_select(a, &parts[1], of_a) * part_select(b, &parts[2], of_b);
    let (mut c, mut lsb) = (c, 0);
    if words.contains(&"po") {
        lsb = 1;
    } else if product_negated {
        (tmp, lsb) = (!tmp, 1);
    } else if minus[2] == "-" {
        (c, lsb) = (!c, 1);
    }
    tmp += extended(i128::from(c), 32, signed) + lsb;
    let result = match words.last() {
        Some(&"shr7") => tmp.div_euclid(1 << 7),
        Some(&"shr15") => tmp.div_euclid(1 << 15),
        _ => tmp,
    };
    match words.contains(&"sat") {
        true => clamp(result, 32, signed) as u32,
        false => result as u32,
    }
}

fn packed(words: &[&str], count: u32, parts: &[String; 3], [a, b, c]: [u32; 3]) -> u32 {
    let [signed, of_a, of_b] = signs(words);
    let bits = 32 / count;
    let usual = match count {
        2 => ["10", "10", "32"],
        _ => ["3210", "3210", "7654"],
    };
    let digits = |index: usize| -> Vec<u32> {
        let word = parts[index].get(2..).unwrap_or(usual[index]);
        let digit = |digit: char| digit.to_digit(10).expect("a digit");
        word.chars().rev().map(digit).collect()
    };
    let joined = i128::from(b) << 32 | i128::from(a);
    let element = |from: u32, signed| extended(joined >> (from * bits), bits, signed);
    let (wanted, first, second) = (digits(0), digits(1), digits(2));
    let adds = words.last() == Some(&"add");
    let (mut sum, mut merged) = (i128::from(c), 0u32);
    for i in 0..count {
        let at = i as usize;
        let mut t = primary(words, element(first[at], of_a), element(second[at], of_b));
        if words.contains(&"sat") {
            t = clamp(t, bits, signed);
        }
        let field = ((1u64 << bits) - 1) as u32;
        if wanted.contains(&i) {
            sum += t;
            merged |= (t as u32 & field) << (i * bits);
        } else {
            merged |= c & field << (i * bits);
        }
    }
    if adds { sum as u32 } else { merged }
}

/// Words for the operands of a row, at random.
fn chosen(syntax: &str, random: &mut Random, time: usize) -> Words<'static> {
    let mut pick = |count: usize| (random.bits() % count as u64) as usize;
    let mut part = |usual: bool| match usual {
        true => String::new(),
        false => PARTS[pick(PARTS.len())].to_string(),
    };
    let mut parts = [String::new(), part(time == 0), part(time == 0)];
    if syntax.contains(" d.part") {
        parts[0] = PARTS[1 + pick(PARTS.len() - 1)].to_string();
    }
    for (letter, count) in [('h', 2), ('b', 4)] {
        if syntax.contains(&format!("mask{count}")) {
            let mask = 1 + pick((1 << count) - 1);
            let digits = (0..count).rev().filter(|i| mask >> i & 1 != 0);
            let digits: String = digits.map(|i| i.to_string()).collect();
            let mut any = || {
                (0..count)
                    .map(|_| pick(2 * count).to_string())
                    .collect::<String>()
            };
            let words = [digits, any(), any()];
            parts = match time {
                0 => Default::default(),
                _ => words.map(|word| format!(".{letter}{word}")),
            };
        }
    }
    let mut minus = |there: bool| if there && pick(2) == 1 { "-" } else { "" };
    let minus = [
        minus(syntax.contains("-a.")),
        minus(syntax.contains("-b.")),
        minus(syntax.contains(" -c")),
    ];
    (parts, minus)
}

fn execute(instruction: &str, rows: &[[u32; 3]]) -> Vec<u32> {
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n
        .visible .entry k(.param .u64 in, .param .u64 out) {{
        .reg .b64 %in, %out; .reg .b32 %i, %a, %b, %c, %d;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u32 %i, %tid.x;
        mad.wide.u32 %in, %i, 12, %in; mad.wide.u32 %out, %i, 4, %out;
        ld.global.u32 %a, [%in]; ld.global.u32 %b, [%in+4]; ld.global.u32 %c, [%in+8];
        mov.u32 %d, 0xdeadbeef;
        {instruction}
        st.global.u32 [%out], %d; ret; }}"
    );
    let mut device = Device::new(&text);
    let input: Vec<u32> = rows.iter().flatten().copied().collect();
    let from = device.buffer(&bytes_of(&input, |v| v.to_le_bytes()));
    let to = device.buffer(&vec![0; rows.len() * 4]);
    let parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    device
        .launch("k", 1, rows.len() as u32, &parameters)
        .unwrap_or_else(|error| panic!("{instruction}: {error}"));
    device.words(to, rows.len())
}

/// Edges in every place of a register, and random bits.
fn rows(random: &mut Random) -> Vec<[u32; 3]> {
    const EDGES: [u32; 12] = [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        0x8080_8080,
        u32::MAX,
    ];
    let mut one = |number: usize| match number % 3 {
        0 => random.bits() as u32,
        1 => EDGES[random.bits() as usize % EDGES.len()],
        _ => EDGES[random.bits() as usize % EDGES.len()].rotate_left(random.bits() as u32 & 24),
    };
    (0..ROWS)
        .map(|number| [one(number), one(number / 3), one(number / 9)])
        .collect()
}

/// Holds all spellings of the rows of a section, and returns how many there were.
fn hold(section: &str) -> usize {
    let mut random = Random(section.len() as u64);
    let mut count = 0;
    for form in vgpu_simt::forms().filter(|form| form.section.starts_with(section)) {
        for spelling in form.spellings() {
            let words: Vec<&str> = spelling.split('.').collect();
            let third = form.syntax.contains(", c:u32") || form.syntax.contains(", -c");
            for time in 0..TIMES {
                let (parts, minus) = chosen(form.syntax, &mut random, time);
                let last = if third {
                    format!(", {}%c", minus[2])
                } else {
                    String::new()
                };
                let instruction = format!(
                    "{spelling} %d{}, {}%a{}, {}%b{}{last};",
                    parts[0], minus[0], parts[1], minus[1], parts[2]
                );
                let rows = rows(&mut random);
                for (row, got) in rows.iter().zip(execute(&instruction, &rows)) {
                    let expected = match words[0].chars().last() {
                        Some('2') => packed(&words, 2, &parts, *row),
                        Some('4') => packed(&words, 4, &parts, *row),
                        _ if words[0] == "vmad" => vmad(&words, &parts, &minus, *row),
                        _ => scalar(&words, &parts, *row, third),
                    };
                    assert_eq!(got, expected, "{instruction} {row:x?}");
                }
            }
            count += 1;
        }
    }
    count
}

#[test]
fn scalar_arithmetic() {
    assert_eq!(hold("9.7.18.1.1"), 5 * 16 * 5);
}

#[test]
fn scalar_shifts_and_comparisons() {
    assert_eq!(hold("9.7.18.1.2"), 2 * 16 * 5);
    assert_eq!(hold("9.7.18.1.4"), 24 * 5);
}

#[test]
fn products() {
    assert_eq!(hold("9.7.18.1.3"), 3 * 8 * 6);
}

#[test]
fn halves_and_bytes() {
    assert_eq!(hold("9.7.18.2"), 2 * (6 * (16 + 8) + 2 * 24));
}

/// The examples of the ISA, as far as they fit its own syntax, and what does not.
#[test]
fn what_is_taken() {
    let taken = |instruction: &str| {
        let text = format!(
            ".version 8.7\n.target sm_90\n.address_size 64\n
            .visible .entry k() {{ .reg .b32 r<5>, c; .reg .b64 w; {instruction} ret; }}"
        );
        let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
        let module = vgpu_ptx::parse(&text);
        module.is_ok_and(|module| Program::load(&module, &mut memory).is_ok())
    };
    for instruction in [
        "vadd.s32.u32.s32.sat r1, r2.b0, r3.h0;",
        "vabsdiff.s32.s32.s32.sat r1.h0, r2.b0, r3.b2, c;",
        "vmin.s32.s32.s32.sat.add r1, r2, r3, c;",
        "vshr.u32.u32.u32.wrap r1, r2, r3.h1;",
        "vmad.s32.s32.u32.sat r0, r1, r2, -r3;",
        "vmad.u32.u32.u32.shr15 r0, r1.h0, r2.h0, r3;",
        "vset.u32.u32.ne r1, r2, r3.h1;",
        "vsub2.s32.s32.s32.sat r1.h0, r2.h10, r3.h32, r1;",
        "vmin2.s32.u32.u32.add r1.h10, r2.h00, r3.h22, r1;",
        "vsub4.s32.s32.s32.sat r1.b0, r2.b3210, r3.b7654, r1;",
        "vadd.u32.u32.u32 r1, r2, 5;",
    ] {
        assert!(taken(instruction), "{instruction}");
    }
    for instruction in [
        "vadd.u32.u32.u32 r1, r2.b4, r3;",
        "vadd.u32.u32.u32 r1, -r2, r3;",
        "vadd.u32.u32.u32 r1.b0, r2, r3;",
        "vadd.u32.u32.u32 r1, r2, r3, c;",
        "vadd.u32.u32.u32 r1, w, r3;",
        "vadd.u32.u32.u32 r1, w.b0, r3;",
        "vadd2.u32.u32.u32 r1.h01, r2, r3, c;",
        "vadd2.u32.u32.u32 r1, r2.h4, r3, c;",
        "vadd2.u32.u32.u32.sat.add r1, r2, r3, c;",
        "vmad.u32.u32.u32 r1, -r2, r3, -c;",
        "vmad.u32.u32.u32.po r1, -r2, r3, c;",
        "add.u32 r1.b0, r2, r3;",
        "add.u32 r1, -r2, r3;",
        "add.u32 r1, r2.b0, r3;",
    ] {
        assert!(!taken(instruction), "{instruction}");
    }
}
