//! Every form of the carry flag, with the flag set and not, and what it leaves.

mod common;

use common::oracle::{LONGS, WORDS, rows};
use common::{Device, bytes_of};

/// The result, and the flag after it.
fn expected(words: &[&str], x: &[u64], flag: u64) -> (u64, u64) {
    let width = if words.last().is_some_and(|ty| ty.ends_with("64")) {
        64
    } else {
        32
    };
    let signed = words.last().is_some_and(|ty| ty.starts_with('s'));
    let mask = (1u128 << width) - 1;
    let taken = if words[0].ends_with('c') {
        u128::from(flag)
    } else {
        0
    };
    let [a, b, c] = [0, 1, 2].map(|i| x.get(i).map_or(0, |x| u128::from(*x)));
    let result = match &words[0][..3] {
        "add" => a + b + taken,
        // A borrow sets the flag as a carry does.
        "sub" => a.wrapping_sub(b).wrapping_sub(taken),
        _ => {
            let wide = |x: u128| match signed && x >> (width - 1) != 0 {
                true => x | !mask,
                false => x,
            };
            let product = match signed {
                true => wide(a).wrapping_mul(wide(b)),
                false => a * b,
            };
            let part = if words[1] == "hi" {
                product >> width
            } else {
                product
            };
            (part & mask) + c + taken
        }
    };
    let after = u64::from(result & !mask != 0);
    let after = if words.contains(&"cc") { after } else { flag };
    ((result & mask) as u64, after)
}

#[test]
fn each_form_with_the_flag() {
    let mut count = 0;
    for form in vgpu_simt::forms().filter(|form| form.section.starts_with("9.7.2.")) {
        for spelling in form.spellings() {
            let words: Vec<&str> = spelling.split('.').collect();
            let width = if spelling.ends_with("64") { 64 } else { 32 };
            let sources = if words[0].starts_with("mad") { 3 } else { 2 };
            let edges: &[u64] = if width == 64 { &LONGS } else { &WORDS };
            let mut rows = rows(edges, sources, width);
            rows.truncate(512);
            // The flag, by a sum that overflows or not.
            for (index, row) in rows.iter_mut().enumerate() {
                row.push(index as u64 & 1);
            }
            let loads: String = (0..=sources)
                .map(|i| format!("ld.global.b{width} %s{i}, [%in+{}];\n", i * 8))
                .collect();
            let names: Vec<_> = (0..sources).map(|i| format!("%s{i}")).collect();
            let text = format!(
                ".version 7.0\n.target sm_70\n.address_size 64\n
                .visible .entry k(.param .u64 in, .param .u64 out) {{
                .reg .b64 %in, %out; .reg .b32 %i; .reg .b{width} %s<4>, %d<3>;
                ld.param.u64 %in, [in]; ld.param.u64 %out, [out];
                mov.u32 %i, %ctaid.x; mad.lo.u32 %i, %i, 256, 0; mov.u32 %i, %tid.x;
                mad.wide.u32 %in, %i, {}, %in; mad.wide.u32 %out, %i, 16, %out;
                {loads}
                add.cc.u{width} %d0, %s{sources}, -1;
                {spelling} %d1, {};
                addc.u{width} %d2, 0, 0;
                st.global.b{width} [%out], %d1; st.global.b{width} [%out+8], %d2; ret; }}",
                (sources + 1) * 8,
                names.join(", "),
            );
            let mut device = Device::new(&text);
            let input: Vec<u64> = rows.iter().flatten().copied().collect();
            let from = device.buffer(&bytes_of(&input, |v| v.to_le_bytes()));
            let to = device.buffer(&vec![0; rows.len() * 16]);
            let parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
            device
                .launch("k", 1, rows.len() as u32, &parameters)
                .unwrap_or_else(|error| panic!("{spelling}: {error}"));
            let got = device.bytes(to, rows.len() * 16);
            let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("eight"));
            for (row, got) in rows.iter().zip(got.chunks_exact(16)) {
                let got = (word(&got[..8]), word(&got[8..]));
                let expected = expected(&words, &row[..sources], row[sources]);
                assert_eq!(got, expected, "{spelling} {row:x?}");
            }
            count += 1;
        }
    }
    assert!(count >= 40, "{count} spellings");
}
