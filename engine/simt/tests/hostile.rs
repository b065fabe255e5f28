//! Modules that nobody means well with: whatever loads may be launched, and
//! ends in an answer.

use std::sync::Arc;

use proptest::prelude::*;
use vgpu_device_memory::Memory;
use vgpu_simt::{Executor, Launch, Program};

const REAL: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");

/// Loads `text` and launches all of it, with pointers that lead somewhere, and
/// with ones that do not.
fn attempt(text: &str) -> usize {
    let Ok(module) = vgpu_ptx::parse(text) else {
        return 0;
    };
    let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
    let Ok(program) = Program::load(&module, &mut memory) else {
        assert_eq!(memory.count(), 0, "nothing is left of what did not load");
        return 0;
    };
    let program = Arc::new(program);
    let buffer = memory.alloc(4096).expect("room");
    let mut executor = Executor::new(1, 1000);
    for kernel in program.kernels() {
        for seed in [buffer, u64::MAX, 7] {
            let parameters = seed
                .to_le_bytes()
                .repeat(kernel.parameter_size as usize / 8 + 1);
            let launch = Launch {
                kernel: &kernel.name,
                blocks: [2, 1, 1],
                threads: kernel.required_threads.unwrap_or([40, 1, 1]),
                shared: 64,
                parameters: &parameters,
            };
            let _ = executor.launch(&program, &memory.view(), &launch);
        }
    }
    program.unload(&mut memory);
    assert_eq!(memory.count(), 1, "what was loaded went");
    1
}

/// Words of one instruction of the real text for those of another: most still load.
fn swapped(first: usize, second: usize) -> String {
    let mut lines: Vec<&str> = REAL.lines().collect();
    let code: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].trim_end().ends_with(';'))
        .collect();
    lines.swap(code[first % code.len()], code[second % code.len()]);
    lines.join("\n")
}

#[test]
fn the_text_itself_is_launched() {
    assert_eq!(attempt(REAL), 1);
}

/// More is a launch's to ask for.
#[test]
fn code_declares_48_kib_of_shared_memory_and_no_more() {
    for (size, loads) in [(48 << 10, 1), ((48 << 10) + 1, 0)] {
        let text = format!(
            ".version 7.0\n.target sm_70\n.address_size 64\n\
             .visible .entry k() {{ .shared .b8 s[{size}]; ret; }}"
        );
        assert_eq!(attempt(&text), loads, "{size} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lines_in_another_order(first in 0usize..1000, second in 0usize..1000) {
        attempt(&swapped(first, second));
    }

    #[test]
    fn other_numbers(at in 0..REAL.len(), number in prop::sample::select(vec![
        "0", "1", "3", "31", "255", "4096", "2147483648", "-1", "-2147483648", "4294967295", "9223372036854775807",
        "18446744073709551615", "0f7FC00000",
    ])) {
        // The first number from there on becomes another.
        let start = REAL[at..].find(|c: char| c.is_ascii_digit()).map_or(REAL.len(), |found| at + found);
        let rest = &REAL[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        attempt(&format!("{}{number}{}", &REAL[..start], &rest[end..]));
    }

    #[test]
    fn random_instructions(lines in proptest::collection::vec((
        prop::sample::select(vec![
            "add.s32 %r1, %r2, %r3", "mul.hi.u64 %d1, %d2, %d3", "mad.hi.sat.s32 %r1, %r2, %r3, %r1", "div.s32 %r2, %r1, %r3",
            "rem.s64 %d1, %d2, %d3", "neg.s32 %r1, %r2", "abs.s64 %d1, %d1", "shl.b64 %d1, %d2, %r1", "shr.s32 %r1, %r2, %r3",
            "bfe.s64 %d1, %d2, %r1, %r2", "bfi.b32 %r1, %r2, %r3, %r1, %r2", "sad.s32 %r1, %r2, %r3, %r1", "mov.u32 %r1, %clock",
            "cvt.rni.s8.f32 %r1, %f1", "cvt.rp.f16.f64 %h1, %e1", "cvt.rz.f32.u64 %f1, %d1", "sqrt.rm.f64 %e1, %e2", "fma.rp.f64 %e1, %e2, %e1, %e2",
            "div.rz.f32 %f1, %f2, %f1", "mov.u32 %r1, -2147483648", "mov.u64 %d2, -1", "mov.u32 %r3, %tid.x", "cvt.u64.u32 %d1, %r3",
            "ld.shared.v4.b32 {%r1, %r2, %r3, %r1}, [%r2+4]", "st.local.u64 [%d1+-8], %d2", "ld.u32 %r1, [%d1]", "atom.shared.cas.b32 %r1, [%r2], %r3, 7",
            "bar.sync %r1", "bar.arrive 1, %r2", "bar.red.popc.u32 %r1, 2, %p", "shfl.sync.idx.b32 %r1|%p, %r2, %r3, %r1, %r2", "vote.sync.any.pred %p, %p, %r1",
            "match.any.sync.b32 %r1, %r2, %r3", "bar.warp.sync %r2", "setp.lt.s32 %p, %r1, %r2", "bra a", "bra b", "call f, ()", "call %d1, ()", "ret", "exit",
            "mov.u64 %d1, f", "mov.u64 %d1, l", "cvta.local.u64 %d1, %d1", "madc.hi.cc.s64 %d1, %d2, %d3, %d1", "prmt.b32 %r1, %r2, %r3, %r1", "dp4a.s32.s32 %r1, %r2, %r3, %r1",
        ]), any::<bool>()), 1..40))
    {
        let guarded = |(line, guard): &(&str, bool)| format!("{}{line};\n", if *guard { "@%p " } else { "" });
        let half = lines.len() / 2;
        let body: String = lines[..half].iter().map(guarded).collect();
        let rest: String = lines[half..].iter().map(guarded).collect();
        let declared = ".reg .b32 %r<4>; .reg .b64 %d<4>; .reg .f32 %f<3>; .reg .f64 %e<3>; .reg .b16 %h<2>; .reg .pred %p; .local .b8 l[8];";
        let text = format!(
            ".version 7.0\n.target sm_70\n.address_size 64\n\
             .func f() {{ {declared} a: b: {rest} ret; }}\n\
             .visible .entry k(.param .u64 x) {{ {declared} .shared .b8 s[64];\n\
             setp.eq.u32 %p, %r1, 0; mov.u32 %r3, %laneid; setp.gt.u32 %p, %r3, 9;\na: {body} b: {rest} ret; }}"
        );
        prop_assert_eq!(attempt(&text), 1, "{}", text);
    }
}
