//! Loads, stores and moves: every type, state space and vector.

mod common;

use common::{Device, Random, bytes_of, run};

const HEAD: &str = ".version 8.7\n.target sm_90\n.address_size 64\n";
const TYPES: [&str; 14] = [
    "b8", "b16", "b32", "b64", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64",
];

fn bits(ty: &str) -> usize {
    ty[1..].parse().expect("a width")
}

/// A kernel that runs `body` with `%in`, `%out`, and the address of 128 bytes
/// of a space as `m` and as the register `%m`; what it wrote to `%out`.
fn execute(body: &str, input: &[u8], size: usize) -> Vec<u8> {
    let text = format!(
        "{HEAD}.global .align 32 .b8 g[128]; .const .align 32 .b8 k[128] = {{1, 2, 3, 4}};
        .visible .entry k1(.param .u64 in, .param .u64 out, .param .align 32 .b8 p[64]) {{
        .shared .align 32 .b8 s[128]; .local .align 32 .b8 l[128];
        .reg .b64 %in, %out, %m; .reg .b16 %h<9>; .reg .b32 %w<9>; .reg .b64 %x<9>; .reg .pred %q<3>;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out];
        {body} ret; }}"
    );
    let mut device = Device::new(&text);
    let from = device.buffer(input);
    let to = device.buffer(&vec![0; size]);
    let mut parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    parameters.extend([0; 16]);
    parameters.extend(input.iter().chain(&[0; 64]).take(64));
    device
        .launch("k1", 1, 1, &parameters)
        .unwrap_or_else(|error| panic!("{body}: {error}"));
    device.bytes(to, size)
}

fn register(width: usize) -> char {
    match width {
        64 => 'x',
        32 => 'w',
        _ => 'h',
    }
}

/// What is stored is there, element by element, and what is narrower than its
/// register has its sign above it.
#[test]
fn each_type_in_each_space() {
    let mut random = Random(21);
    for (space, variable) in [
        ("global", "g"),
        ("shared", "s"),
        ("shared::cta", "s"),
        ("local", "l"),
        ("", "s"),
    ] {
        for ty in TYPES {
            for count in [1, 2, 4, 8] {
                let width = bits(ty);
                if count * width > 256 || count == 8 && width != 32 {
                    continue;
                }
                let letter = register(width);
                let wide = width.max(16);
                let names: Vec<_> = (0..count).map(|i| format!("%{letter}{i}")).collect();
                let (vector, list) = match count {
                    1 => (String::new(), names[0].clone()),
                    _ => (format!(".v{count}"), format!("{{{}}}", names.join(", "))),
                };
                let dot = if space.is_empty() {
                    String::new()
                } else {
                    format!(".{space}")
                };
                // Generic addresses are those of the space's window.
                let window = if space.is_empty() {
                    "cvta.shared.u64 %m, %m;"
                } else {
                    ""
                };
                let load =
                    |i: usize| format!("ld.global.b{wide} %{letter}{i}, [%in+{}];", i * wide / 8);
                let store =
                    |i: usize| format!("st.global.b{wide} [%out+{}], %{letter}{i};", i * wide / 8);
                let loads: String = (0..count).map(load).collect();
                let stores: String = (0..count).map(store).collect();
                let clear: String = names
                    .iter()
                    .map(|n| format!("mov.b{wide} {n}, 0;"))
                    .collect();
                let body = format!(
                    "mov.u64 %m, {variable}; {window} {loads}
                    st{dot}{vector}.{ty} [%m+32], {list}; {clear}
                    ld{dot}{vector}.{ty} {list}, [%m+32]; {stores}"
                );
                let input: Vec<u8> = (0..count * wide / 8).map(|_| random.bits() as u8).collect();
                let got = execute(&body, &input, input.len());
                let mut expected = input.clone();
                if width == 8 {
                    for pair in expected.chunks_mut(2) {
                        let sign = ty == "s8" && pair[0] & 0x80 != 0;
                        pair[1] = if sign { 0xff } else { 0 };
                    }
                }
                assert_eq!(got, expected, "{space} {vector}.{ty}");
            }
        }
    }
}

#[test]
fn parameters_and_constants() {
    let input: Vec<u8> = (1..=64).collect();
    for ty in TYPES {
        let (letter, wide) = (register(bits(ty)), bits(ty).max(16));
        for (space, from) in [
            ("param", "[p+8]"),
            ("param::entry", "[p+8]"),
            ("const", "[k]"),
        ] {
            let body = format!(
                "ld.{space}.{ty} %{letter}0, {from}; st.global.b{wide} [%out], %{letter}0;"
            );
            let got = execute(&body, &input, wide / 8);
            let start = if space == "const" { 1 } else { 9 };
            let expected: Vec<u8> = (start..start + bits(ty) as u8 / 8)
                .map(|n| if space == "const" && n > 4 { 0 } else { n })
                .collect();
            assert_eq!(got[..expected.len()], expected, "{space} {ty}");
        }
        let body =
            format!("ldu.global.{ty} %{letter}0, [%in+8]; st.global.b{wide} [%out], %{letter}0;");
        assert_eq!(execute(&body, &input, wide / 8)[0], 9, "ldu {ty}");
        if bits(ty) < 64 {
            let body = format!(
                "ldu.v2.{ty} {{%{letter}0, %{letter}1}}, [%in+8]; st.global.b{wide} [%out], %{letter}1;"
            );
            let got = execute(&body, &input, wide / 8);
            assert_eq!(usize::from(got[0]), 9 + bits(ty) / 8, "ldu {ty}");
        }
    }
}

#[test]
fn moves() {
    for ty in [
        "b16", "u16", "s16", "f16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64",
    ] {
        let register = format!("b{}", bits(ty));
        let mask = u64::MAX >> (64 - bits(ty));
        let rows = vec![vec![0x8123_4567_89ab_cdef & mask]];
        let got = run(&format!("mov.{ty}"), &register, &[&register], &rows);
        assert_eq!(got, rows[0], "{ty}");
    }
    let rows = vec![vec![0], vec![1]];
    assert_eq!(run("mov.pred", "pred", &["pred"], &rows), [0, 1]);
    assert_eq!(run("not.pred", "pred", &["pred"], &rows), [1, 0]);
    let input: Vec<u8> = (1..=8).collect();
    let body = "ld.global.u64 %x0, [%in];
        mov.b64 {%w0, %w1}, %x0; mov.b64 %x1, {%w1, %w0}; st.global.u64 [%out], %x1;
        mov.b64 {%h0, %h1, %h2, %h3}, %x0; mov.b64 %x1, {%h3, %h0, %h1, %h2}; st.global.u64 [%out+8], %x1;
        mov.b32 {%h4, _}, %w0; mov.b32 %w2, {%h1, %h4}; st.global.u32 [%out+16], %w2;";
    let expected = [5, 6, 7, 8, 1, 2, 3, 4, 7, 8, 1, 2, 3, 4, 5, 6, 3, 4, 1, 2];
    assert_eq!(execute(body, &input, 20), expected);
}

/// A generic address belongs to one space, and back there it is as it was.
#[test]
fn generic_addresses() {
    for (space, variable) in [
        ("global", "g"),
        ("shared", "s"),
        ("shared::cta", "s"),
        ("local", "l"),
        ("param", "p"),
        ("param::entry", "p"),
        ("const", "k"),
    ] {
        let body = format!(
            "mov.u64 %x0, {variable}; cvta.{space}.u64 %x1, %x0; cvta.to.{space}.u64 %x2, %x1;
            setp.eq.u64 %q0, %x0, %x2; selp.u32 %w0, 1, 0, %q0; st.global.u32 [%out], %w0;
            ld.u8 %h0, [%x1]; st.global.u8 [%out+4], %h0;"
        );
        let got = execute(&body, &[77; 64], 8);
        let first = match variable {
            "p" => 77,
            "k" => 1,
            _ => 0,
        };
        assert_eq!(got[..5], [1, 0, 0, 0, first], "{space}");
        let own = space.split(':').next().expect("a name");
        for asked in ["global", "shared", "shared::cta", "local", "param"] {
            let body = format!(
                "mov.u64 %x0, {variable}; cvta.{space}.u64 %x1, %x0; isspacep.{asked} %q0, %x1;
                selp.u32 %w0, 1, 0, %q0; st.global.u32 [%out], %w0;"
            );
            let same = asked.split(':').next() == Some(own) || (own, asked) == ("const", "global");
            assert_eq!(execute(&body, &[], 4)[0], u8::from(same), "{space} {asked}");
        }
    }
}

/// Forms that order or hint are taken, and change nothing.
#[test]
fn what_changes_nothing() {
    let forms = [
        "prefetch.L1 [%in]",
        "prefetch.global.L2 [%in]",
        "prefetch.local.L1 [l]",
        "prefetchu.L1 [%in]",
        "prefetch.global.L2::evict_last [%in]",
        "prefetch.global.L2::evict_normal [%in]",
        "membar.cta",
        "membar.gl",
        "membar.sys",
        "fence.sc.gpu",
        "fence.acq_rel.cta",
        "fence.cluster",
        "fence.acquire.sys",
        "fence.release.gpu",
        "nanosleep.u32 20",
        "brkpt",
        "bar.warp.sync -1",
    ];
    for form in forms {
        let body = format!("mov.u32 %w0, 7; {form}; st.global.u32 [%out], %w0;");
        assert_eq!(execute(&body, &[0; 8], 4), [7, 0, 0, 0], "{form}");
    }
}

/// One element may stand in braces, as Triton writes it.
#[test]
fn vectors_of_one() {
    let body = "ld.global.b32 { %w0 }, [%in+4]; st.global.b32 [%out], { %w0 };";
    assert_eq!(execute(body, &[1, 2, 3, 4, 5, 6, 7, 8], 4), [5, 6, 7, 8]);
}

/// A policy for a cache is an operand more, and changes nothing.
#[test]
fn policies_for_a_cache() {
    let words = bytes_of(&[1u32, 2, 3, 4], |v| v.to_le_bytes());
    let policy = "createpolicy.fractional.L2::evict_first.b64 %x0, 0.5;";
    for (form, store) in [
        (
            "ld.global.L1::evict_last.L2::cache_hint.v2.b32",
            "st.global.L2::cache_hint.v2.b32",
        ),
        (
            "ld.global.nc.L2::cache_hint.L2::128B.v2.b32",
            "st.L2::cache_hint.v2.b32",
        ),
        (
            "ld.volatile.L2::cache_hint.v2.u32",
            "st.global.L1::no_allocate.L2::cache_hint.v2.u32",
        ),
    ] {
        let body = format!(
            "{policy} {form} {{%w0, %w1}}, [%in+8], %x0; {store} [%out], {{%w1, %w0}}, %x0;"
        );
        assert_eq!(
            execute(&body, &words, 8),
            [4, 0, 0, 0, 3, 0, 0, 0],
            "{form}"
        );
    }
}

#[test]
fn wide_vectors_need_their_alignment() {
    let words = bytes_of(&[1u32, 2, 3, 4], |v| v.to_le_bytes());
    let body = "ld.global.v4.u32 {%w0, %w1, %w2, %w3}, [%in]; st.global.v2.u32 [%out], {%w3, %w2};";
    assert_eq!(execute(body, &words, 8), [4, 0, 0, 0, 3, 0, 0, 0]);
}
