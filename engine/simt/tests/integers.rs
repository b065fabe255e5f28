//! Forms on integers and bits against Rust's.

mod common;

use common::oracle::{LONGS, WORDS, check, rows};

#[test]
fn integers_of_every_width() {
    for (name, width, signed) in [
        ("u16", 16, false),
        ("s16", 16, true),
        ("u32", 32, false),
        ("s32", 32, true),
        ("u64", 64, false),
        ("s64", 64, true),
    ] {
        let mask = u64::MAX >> (64 - width);
        let edges: Vec<u64> = if width == 64 {
            LONGS.to_vec()
        } else {
            WORDS.map(|w| w & mask).to_vec()
        };
        let register = format!("b{width}");
        let r = register.as_str();
        let (two, three) = (rows(&edges, 2, width), rows(&edges, 3, width));
        let wide = move |bits: u64| match signed {
            true => i128::from((bits << (64 - width)) as i64 >> (64 - width)),
            false => i128::from(bits & mask),
        };
        let binary = |form: &str, f: &dyn Fn(i128, i128) -> i128| {
            check(&format!("{form}.{name}"), r, &[r, r], &two, |row| {
                f(wide(row[0]), wide(row[1])) as u64 & mask
            });
        };
        binary("add", &|a, b| a + b);
        binary("sub", &|a, b| a - b);
        binary("mul.lo", &|a, b| a.wrapping_mul(b));
        binary("mul.hi", &|a, b| a.wrapping_mul(b) >> width);
        binary("min", &|a, b| a.min(b));
        binary("max", &|a, b| a.max(b));
        binary("div", &|a, b| if b == 0 { -1 } else { a / b });
        binary("rem", &|a, b| if b == 0 { a } else { a % b });
        check(&format!("mad.lo.{name}"), r, &[r, r, r], &three, |row| {
            wide(row[0])
                .wrapping_mul(wide(row[1]))
                .wrapping_add(wide(row[2])) as u64
                & mask
        });
        check(&format!("sad.{name}"), r, &[r, r, r], &three, |row| {
            ((wide(row[0]) - wide(row[1])).abs() + wide(row[2])) as u64 & mask
        });
        for (form, f) in [
            ("eq", i128::eq as fn(&i128, &i128) -> bool),
            ("ne", i128::ne),
            ("lt", i128::lt),
            ("le", i128::le),
            ("gt", i128::gt),
            ("ge", i128::ge),
        ] {
            check(
                &format!("setp.{form}.{name}"),
                "pred",
                &[r, r],
                &two,
                |row| u64::from(f(&wide(row[0]), &wide(row[1]))),
            );
        }
        if width < 64 {
            let double = format!("b{}", width * 2);
            check(&format!("mul.wide.{name}"), &double, &[r, r], &two, |row| {
                (wide(row[0]) * wide(row[1])) as u64 & (u64::MAX >> (64 - width * 2))
            });
        }
        let shifts: Vec<_> = two.iter().map(|row| vec![row[0], row[1] & 0x7f]).collect();
        check(&format!("shr.{name}"), r, &[r, "b32"], &shifts, |row| {
            (wide(row[0]) >> row[1].min(127)) as u64 & mask
        });
        check(&format!("shl.{register}"), r, &[r, "b32"], &shifts, |row| {
            if row[1] >= u64::from(width) {
                0
            } else {
                row[0] << row[1] & mask
            }
        });
    }
}

#[test]
fn bits_and_fields() {
    let (two, three) = (rows(&WORDS, 2, 32), rows(&WORDS, 3, 32));
    let one = rows(&WORDS, 1, 32);
    let s = ["b32"; 3];
    let word = |bits: u64| bits as u32;
    check("and.b32", "b32", &s[..2], &two, |r| r[0] & r[1]);
    check("or.b32", "b32", &s[..2], &two, |r| r[0] | r[1]);
    check("xor.b32", "b32", &s[..2], &two, |r| r[0] ^ r[1]);
    check("not.b32", "b32", &s[..1], &one, |r| u64::from(!word(r[0])));
    check("popc.b32", "b32", &s[..1], &one, |r| {
        u64::from(word(r[0]).count_ones())
    });
    check("clz.b32", "b32", &s[..1], &one, |r| {
        u64::from(word(r[0]).leading_zeros())
    });
    check("brev.b32", "b32", &s[..1], &one, |r| {
        u64::from(word(r[0]).reverse_bits())
    });
    // Source: the pseudo code of PTX ISA 9.7.1.19.
    let field = |r: &[u64], signed: bool| {
        let (a, position, length) = (word(r[0]), r[1] & 0xff, r[2] & 0xff);
        let bit = |x: u64| a >> x & 1;
        let sign = if !signed || length == 0 {
            0
        } else {
            bit((position + length - 1).min(31))
        };
        (0..32).fold(0u64, |all, index| {
            let inside = index < length && position + index <= 31;
            all | u64::from(if inside { bit(position + index) } else { sign }) << index
        })
    };
    check("bfe.u32", "b32", &s, &three, |r| field(r, false));
    check("bfe.s32", "b32", &s, &three, |r| field(r, true));
    check("shf.l.wrap.b32", "b32", &s, &three, |r| {
        ((r[1] << 32 | r[0]) << (r[2] & 31)) >> 32 & 0xffff_ffff
    });
    check("shf.r.clamp.b32", "b32", &s, &three, |r| {
        ((r[1] << 32 | r[0]) >> r[2].min(32)) & 0xffff_ffff
    });
    check("prmt.b32", "b32", &s, &three, |r| {
        let bytes = [word(r[0]).to_le_bytes(), word(r[1]).to_le_bytes()].concat();
        (0..4).fold(0, |all, index| {
            let selector = r[2] >> (4 * index) & 15;
            let byte = bytes[selector as usize & 7];
            let sign = if byte & 0x80 != 0 { 0xff } else { 0 };
            all | u64::from(if selector & 8 != 0 { sign } else { byte }) << (8 * index)
        })
    });
    check("popc.b64", "b32", &["b64"], &rows(&LONGS, 1, 64), |r| {
        u64::from(r[0].count_ones())
    });
    check("clz.b64", "b32", &["b64"], &rows(&LONGS, 1, 64), |r| {
        u64::from(r[0].leading_zeros())
    });
}

#[test]
fn fields_that_are_inserted_and_bits_that_are_found() {
    let mut four = rows(&[0, 1, 8, 31, 32, 255, 0xdead_beef], 4, 32);
    // Positions and lengths within a word, and beyond.
    four.iter_mut()
        .for_each(|row| row[2..].iter_mut().for_each(|v| *v &= 0x3f));
    // Source: the pseudo code of PTX ISA 9.7.1.20.
    check("bfi.b32", "b32", &["b32"; 4], &four, |r| {
        let (position, length) = (r[2] & 0xff, r[3] & 0xff);
        (0..32)
            .filter(|i| *i < length && position + i < 32)
            .fold(r[1], |all, i| {
                all & !(1 << (position + i)) | (r[0] >> i & 1) << (position + i)
            })
    });
    let one = rows(&WORDS, 1, 32);
    let highest = |x: u32| (0..32).rev().find(|bit| x >> bit & 1 != 0);
    check("bfind.u32", "b32", &["b32"], &one, |r| {
        u64::from(highest(r[0] as u32).unwrap_or(u32::MAX))
    });
    check("bfind.shiftamt.s32", "b32", &["b32"], &one, |r| {
        let value = r[0] as i32;
        let place = highest(if value < 0 { !value } else { value } as u32);
        u64::from(place.map_or(u32::MAX, |place| 31 - place))
    });
    let three = rows(&WORDS, 3, 32);
    check("dp4a.u32.s32", "b32", &["b32"; 3], &three, |r| {
        let pairs =
            (0..4).map(|i| (r[0] >> (8 * i) & 0xff) as i64 * i64::from((r[1] >> (8 * i)) as i8));
        (pairs.sum::<i64>() as u64).wrapping_add(r[2]) & 0xffff_ffff
    });
    let two = rows(&WORDS, 2, 32);
    check("mul24.hi.s32", "b32", &["b32"; 2], &two, |r| {
        let part = |x: u64| i64::from((x as u32) << 8) << 32 >> 40;
        (part(r[0]) * part(r[1])) as u64 >> 16 & 0xffff_ffff
    });
    check(
        "selp.b64",
        "b64",
        &["b64", "b64", "pred"],
        &rows(&LONGS, 3, 64),
        |r| {
            // The predicate is read from 32 bits.
            if r[2] as u32 != 0 { r[0] } else { r[1] }
        },
    );
    check("slct.b32.s32", "b32", &["b32"; 3], &three, |r| {
        if (r[2] as i32) >= 0 { r[0] } else { r[1] }
    });
    check("set.lt.u32.s32", "b32", &["b32"; 2], &two, |r| {
        if (r[0] as i32) < (r[1] as i32) {
            0xffff_ffff
        } else {
            0
        }
    });
    check("set.ge.f32.u32", "b32", &["b32"; 2], &two, |r| {
        if r[0] >= r[1] { 0x3f80_0000 } else { 0 }
    });
}

/// Sums, differences and products of 128 bits, by the carry flag; a lookup of
/// three bits; and a word taken apart and put together.
#[test]
fn carries_lookups_and_parts() {
    let text = ".version 7.0\n.target sm_70\n.address_size 64\n
        .visible .entry k(.param .u64 in, .param .u64 out) {
        .reg .b64 %i, %o, %a<2>, %b<2>, %c<4>; .reg .b32 %t, %x<4>; .reg .b16 %h<4>;
        ld.param.u64 %i, [in]; ld.param.u64 %o, [out];
        mov.u32 %t, %tid.x; mad.wide.u32 %i, %t, 32, %i; mad.wide.u32 %o, %t, 64, %o;
        ld.global.v2.u64 {%a0, %a1}, [%i]; ld.global.v2.u64 {%b0, %b1}, [%i+16];
        add.cc.u64 %c0, %a0, %b0; addc.u64 %c1, %a1, %b1;
        st.global.v2.u64 [%o], {%c0, %c1};
        sub.cc.u64 %c0, %a0, %b0; subc.u64 %c1, %a1, %b1;
        st.global.v2.u64 [%o+16], {%c0, %c1};
        mul.lo.u64 %c0, %a0, %b0; mul.hi.u64 %c1, %a0, %b0;
        mad.lo.cc.u64 %c1, %a1, %b0, %c1; madc.hi.u64 %c2, %a1, %b0, 0;
        st.global.v2.u64 [%o+32], {%c1, %c2};
        mov.b64 {%x0, %x1}, %a0; mov.b32 {%h0, %h1}, %x0; mov.b32 %x2, {%h1, %h0};
        lop3.b32 %x3, %x0, %x1, %x2, 0xd8;
        mov.b64 %c0, {%x2, %x3}; st.global.u64 [%o+48], %c0;
        ret; }";
    let mut random = common::Random(9);
    let edge = |index: u64, bits: u64| match index % 5 {
        0 => u64::MAX,
        1 => 0,
        _ => bits,
    };
    let input: Vec<u64> = (0..4 * 64).map(|i| edge(i / 3, random.bits())).collect();
    let mut device = common::Device::new(text);
    let from = device.buffer(&common::bytes_of(&input, |v| v.to_le_bytes()));
    let to = device.buffer(&[0; 64 * 64]);
    device
        .launch("k", 1, 64, &[from.to_le_bytes(), to.to_le_bytes()].concat())
        .expect("runs");
    let out = device.bytes(to, 64 * 64);
    for (row, out) in input.chunks(4).zip(out.chunks(64)) {
        let long = |at: usize| u128::from_le_bytes(out[at..at + 16].try_into().expect("16"));
        let value = |low: u64, high: u64| u128::from(high) << 64 | u128::from(low);
        let (a, b) = (value(row[0], row[1]), value(row[2], row[3]));
        assert_eq!(long(0), a.wrapping_add(b));
        assert_eq!(long(16), a.wrapping_sub(b));
        // The upper 128 bits of a product of 192.
        let upper = u128::from(row[1]) * u128::from(row[2]);
        let lower = (u128::from(row[0]) * u128::from(row[2])) >> 64;
        assert_eq!(long(32), upper.wrapping_add(lower));
        let (x, y) = (row[0] as u32, (row[0] >> 32) as u32);
        let z = x.rotate_left(16);
        // 0xd8 chooses y where z is 0, and x where it is 1, of bits a, b, c.
        let lookup = (0..32).fold(0u32, |all, bit| {
            let index = (x >> bit & 1) << 2 | (y >> bit & 1) << 1 | z >> bit & 1;
            all | (0xd8u32 >> index & 1) << bit
        });
        assert_eq!(long(48) as u64, u64::from(lookup) << 32 | u64::from(z));
    }
}
