//! Atomic operations, in global and in shared memory, and what lanes do together.

mod common;

use common::Device;

const HEAD: &str = ".version 7.0\n.target sm_70\n.address_size 64\n";

/// 64 threads apply `operation.type` with their number plus 1; what is left, and
/// the sum of what they found before.
fn apply(space: &str, operation: &str, ty: &str, start: u64) -> (u64, u64) {
    let size = if ty.ends_with("64") { 64 } else { 32 };
    let operand = match ty {
        "f32" => "cvt.rn.f32.u32 %v, %n;",
        "f64" => "cvt.rn.f64.u32 %v, %n;",
        _ if size == 64 => "cvt.u64.u32 %v, %n;",
        _ => "mov.u32 %v, %n;",
    };
    let compare = if operation == "cas" { ", 9" } else { "" };
    let (address, fetch, put) = match space {
        "shared" => (
            "s",
            format!("@%p ld.global.b{size} %b, [%to]; @%p st.shared.b{size} [s], %b; bar.sync 0;"),
            format!("bar.sync 0; @%p ld.shared.b{size} %b, [s]; @%p st.global.b{size} [%to], %b;"),
        ),
        _ => ("%to", String::new(), String::new()),
    };
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to) {{
        .shared .align 8 .b8 s[8];
        .reg .b64 %to; .reg .b32 %n; .reg .b{size} %v, %b; .reg .b64 %w; .reg .pred %p;
        ld.param.u64 %to, [to]; mov.u32 %n, %tid.x;
        setp.eq.u32 %p, %n, 0;
        {fetch}
        add.u32 %n, %n, 1; {operand}
        atom.{space}.{operation}.{ty} %b, [{address}], %v{compare};
        cvt.u64.u{size} %w, %b; atom.global.add.u64 %w, [%to+8], %w;
        {put} ret; }}"
    );
    let text = text.replace("cvt.u64.u64 %w, %b", "mov.u64 %w, %b");
    let mut device = Device::new(&text);
    let to = device.buffer(&[start.to_le_bytes(), [0; 8]].concat());
    device.launch("k", 1, 64, &to.to_le_bytes()).expect("runs");
    let word = |at| u64::from_le_bytes(device.bytes(to + at, 8).try_into().expect("8"));
    let mask = if size == 64 { u64::MAX } else { 0xffff_ffff };
    (word(0) & mask, word(8))
}

#[test]
fn each_operation_in_both_memories() {
    for space in ["global", "shared"] {
        // The numbers 1 to 64 come in their order, one warp after the other.
        let fold = |start: u64, f: &dyn Fn(u64, u64) -> u64| {
            (1..=64).fold((start, 0u64), |(now, sum), n| {
                (f(now, n), sum.wrapping_add(now))
            })
        };
        let check = |operation, ty, start: u64, f: &dyn Fn(u64, u64) -> u64| {
            assert_eq!(
                apply(space, operation, ty, start),
                fold(start, f),
                "{space} {operation} {ty}"
            );
        };
        check("add", "u32", 0xffff_fff0, &|o, n| (o + n) & 0xffff_ffff);
        check("add", "u64", u64::MAX - 5, &|o, n| o.wrapping_add(n));
        check("and", "b32", 0xff, &|o, n| o & n);
        check("or", "b64", 1 << 40, &|o, n| o | n);
        check("xor", "b32", 7, &|o, n| o ^ n);
        check("exch", "b64", 5, &|_, n| n);
        check("cas", "b32", 3, &|o, n| if o == n { 9 } else { o });
        check("inc", "u32", 2, &|o, n| if o >= n { 0 } else { o + 1 });
        check("dec", "u32", 2, &|o, n| {
            if o == 0 || o > n { n } else { o - 1 }
        });
        check("min", "s32", 0xffff_fffe, &|o, _| o);
        check("max", "s32", 0xffff_fffe, &|o, n| {
            if (o as i32) < n as i32 { n } else { o }
        });
        check("min", "u64", 40, &|o, n| o.min(n));
        check("max", "u64", 40, &|o, n| o.max(n));
        let float = |o: u64, n: u64| (f64::from_bits(o) + n as f64).to_bits();
        check("add", "f64", 0.5f64.to_bits(), &float);
        let float = |o: u64, n: u64| u64::from((f32::from_bits(o as u32) + n as f32).to_bits());
        check("add", "f32", u64::from(0.5f32.to_bits()), &float);
    }
}

/// Votes, matches and reductions: each lane has its number divided by 3.
#[test]
fn what_lanes_find_out_together() {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to) {{
        .reg .b64 %o, %a; .reg .b32 %l, %x, %y; .reg .pred %p, %q;
        ld.param.u64 %o, [to]; mov.u32 %l, %laneid;
        mad.wide.u32 %o, %l, 24, %o;
        div.u32 %x, %l, 3;
        match.any.sync.b32 %y, %x, -1; st.global.u32 [%o], %y;
        match.all.sync.b32 %y|%p, %x, -1; selp.u32 %y, 1, 0, %p; st.global.u32 [%o+4], %y;
        redux.sync.add.u32 %y, %x, -1; st.global.u32 [%o+8], %y;
        redux.sync.max.s32 %y, %x, -1; st.global.u32 [%o+12], %y;
        setp.gt.u32 %p, %x, 7;
        vote.sync.any.pred %q, %p, -1; selp.u32 %y, 1, 0, %q;
        vote.sync.all.pred %q, %p, -1; selp.u32 %x, 2, 0, %q; or.b32 %y, %x, %y;
        vote.sync.uni.pred %q, %p, -1; selp.u32 %x, 4, 0, %q; or.b32 %y, %x, %y;
        st.global.u32 [%o+16], %y;
        shfl.sync.bfly.b32 %x, %l, 5, 31, -1; shfl.sync.down.b32 %y, %l, 30, 31, -1;
        mad.lo.u32 %y, %y, 100, %x; st.global.u32 [%o+20], %y;
        ret; }}"
    );
    let mut device = Device::new(&text);
    let to = device.buffer(&[0; 24 * 32]);
    device.launch("k", 1, 32, &to.to_le_bytes()).expect("runs");
    for (lane, row) in (0u32..).zip(device.words(to, 6 * 32).chunks(6)) {
        let group = (0..32)
            .filter(|other| other / 3 == lane / 3)
            .fold(0, |all, o| all | 1 << o);
        let sum: u32 = (0..32).map(|lane| lane / 3).sum();
        let down = if lane + 30 < 32 { lane + 30 } else { lane };
        assert_eq!(
            row,
            [group, 0, sum, 10, 1, down * 100 + (lane ^ 5)],
            "lane {lane}"
        );
    }
}

/// Halves side by side: each lane adds to its own, and to one of all.
#[test]
fn halves_are_added_and_exchanged() {
    let run = |form: &str, width: usize, start: u32, value: u32| {
        let text = format!(
            ".version 8.7\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 to) {{
            .reg .b64 %to; .reg .b{width} %v, %o; .reg .b32 %w;
            ld.param.u64 %to, [to]; mov.u32 %w, {value}; cvt.u{width}.u32 %v, %w;
            {form}; ret; }}"
        );
        let mut device = Device::new(&text);
        let to = device.buffer(&[start.to_le_bytes(), [9; 4]].concat());
        device.launch("k", 1, 4, &to.to_le_bytes()).expect("runs");
        let words = device.words(to, 2);
        assert_eq!(words[1], 0x0909_0909, "{form}: what is beside it");
        words[0]
    };
    let half = |x: f32| u32::from(half::f16::from_f32(x).to_bits());
    let brain = |x: f32| u32::from(half::bf16::from_f32(x).to_bits());
    for (ty, of) in [("f16", &half as &dyn Fn(f32) -> u32), ("bf16", &brain)] {
        let pair = |low: f32, high: f32| of(low) | of(high) << 16;
        let forms = [
            format!("atom.global.add.noftz.{ty} %o, [%to+2], %v"),
            format!("red.global.add.noftz.{ty} [%to+2], %v"),
        ];
        for form in forms {
            let got = run(&form, 16, pair(1.0, 2.0), of(0.5));
            assert_eq!(got, pair(1.0, 4.0), "{form}");
        }
        let form = format!("red.add.noftz.{ty}x2 [%to], %v");
        let got = run(&form, 32, pair(1.0, 2.0), pair(0.25, -1.0));
        assert_eq!(got, pair(2.0, -2.0), "{form}");
    }
    let got = run("atom.global.cas.b16 %o, [%to+2], 7, %v", 16, 0x0007_0005, 9);
    assert_eq!(got, 0x0009_0005);
    // The rest of those that keep nothing.
    let table: [(&str, u32, u32, u32); 9] = [
        ("red.add.u32", 5, 3, 17),
        ("red.global.and.b32", 0xff, 0x1c, 0x1c),
        ("red.gpu.global.or.b32", 1, 6, 7),
        ("red.xor.b32", 1, 6, 1),
        ("red.relaxed.sys.global.inc.u32", 8, 10, 1),
        ("red.dec.u32", 2, 9, 8),
        ("red.cta.min.s32", u32::MAX, 4, u32::MAX),
        ("red.max.u32", 3, 4, 4),
        ("atom.acq_rel.cluster.global.min.u32 %o,", 3, 2, 2),
    ];
    for (form, start, value, expected) in table {
        let got = run(&format!("{form} [%to], %v"), 32, start, value);
        assert_eq!(got, expected, "{form}");
    }
}
