//! Warps that go together, apart, and together again; and how the lanes of a
//! warp may lie to each other in memory.

mod common;

use common::{Device, bytes_of};
use vgpu_simt::{Cause, LaunchError};

fn kernel(parameters: &str, body: &str) -> String {
    format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n
        .visible .entry test({parameters}) {{
        .reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %rd<9>; .shared .align 4 .b8 words[4096];
        {body} }}"
    )
}

/// Each thread goes around a loop as often as its index modulo 7 says, half of
/// the warps skip it, the last warp has 8 lanes, and the first threads leave
/// early; then the others meet at a barrier, and read what their neighbour wrote.
#[test]
fn warps_part_and_meet_again() {
    let body = "
        ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, 0;
        mul.wide.u32 %rd2, %r1, 4; add.u64 %rd1, %rd1, %rd2;
        setp.lt.u32 %p1, %r1, 3; @%p1 st.global.u32 [%rd1], 1000; @%p1 ret;
        shr.u32 %r3, %r1, 5; and.b32 %r3, %r3, 1; setp.eq.u32 %p2, %r3, 0;
        @%p2 bra MEET;
        rem.u32 %r4, %r1, 7; mov.u32 %r5, 0;
        LOOP: add.u32 %r2, %r2, %r1; add.u32 %r5, %r5, 1;
        setp.le.u32 %p3, %r5, %r4; @%p3 bra LOOP;
        MEET: shl.b32 %r6, %r1, 2; mov.u32 %r7, words; add.u32 %r6, %r6, %r7;
        st.shared.u32 [%r6], %r2;
        bar.sync 0;
        setp.eq.u32 %p4, %r1, 3; @!%p4 ld.shared.u32 %r8, [%r6+-4]; @%p4 mov.u32 %r8, 7;
        st.global.u32 [%rd1], %r8; ret;";
    let mut device = Device::new(&kernel(".param .u64 out", body));
    let threads = 9 * 32 + 8;
    let out = device.buffer(&vec![0; threads as usize * 4]);
    device
        .launch("test", 1, threads, &out.to_le_bytes())
        .expect("runs");
    let value = |thread: u32| match thread / 32 % 2 {
        0 => 0,
        _ => (thread % 7 + 1) * thread,
    };
    for (thread, got) in (0..).zip(device.words(out, threads as usize)) {
        let expected = match thread {
            0..3 => 1000,
            3 => 7,
            _ => value(thread - 1),
        };
        assert_eq!(got, expected, "thread {thread}");
    }
}

/// The clock goes on, and is the same in warps that go together.
#[test]
fn the_clock_counts_instructions() {
    let body = "
        ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 8;
        add.u64 %rd1, %rd1, %rd2; mov.u32 %r2, %clock; add.u32 %r3, %r1, %r2;
        mov.u32 %r4, %clock; sub.u32 %r4, %r4, %r2; st.global.u32 [%rd1], %r2;
        st.global.u32 [%rd1+4], %r4; ret;";
    let mut device = Device::new(&kernel(".param .u64 out", body));
    let out = device.buffer(&[0; 128 * 8]);
    device
        .launch("test", 1, 128, &out.to_le_bytes())
        .expect("runs");
    for pair in device.words(out, 256).chunks(2) {
        assert_eq!(pair, [5, 2]);
    }
}

#[test]
fn who_fails_among_warps_that_go_together_is_named() {
    let accesses = [
        "st.global.u32 [%rd1], %r1;",
        "ld.global.u32 %r3, [%rd1];",
        "red.global.add.u32 [%rd1], %r1;",
    ];
    for access in accesses {
        let body = format!(
            "ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; setp.ge.u32 %p1, %r1, 170;
            selp.b32 %r2, 4096, 0, %p1; cvt.u64.u32 %rd2, %r2; add.u64 %rd1, %rd1, %rd2;
            {access} ret;"
        );
        let mut device = Device::new(&kernel(".param .u64 out", &body));
        let out = device.buffer(&[0; 1024]);
        let failed = device.launch("test", 1, 256, &out.to_le_bytes());
        let Err(LaunchError::Fault(fault)) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(
            (fault.thread, fault.block),
            ([170, 0, 0], [0; 3]),
            "{fault}"
        );
        assert!(matches!(fault.cause, Cause::Global(_)), "{fault}");
    }
}

/// Loads and stores at `offset + step * f(lane)`, in global and shared memory.
#[test]
fn lanes_may_lie_to_each_other_as_they_like() {
    let index = |pattern: &str| match pattern {
        "same" => "mov.u32 %r3, 5;",
        "backwards" => "sub.u32 %r3, 127, %r1;",
        "apart" => "mul.lo.u32 %r3, %r1, 3;",
        // Half a warp each.
        "halves" => "shr.u32 %r3, %r1, 4;",
        "tiles" => "and.b32 %r3, %r1, 15;",
        // Side by side but for one lane.
        "one off" => "mov.u32 %r3, %r1; setp.eq.u32 %p1, %r1, 77; @%p1 mov.u32 %r3, 3;",
        _ => "mov.u32 %r3, %r1;",
    };
    let host = |pattern: &str, thread: u32| match pattern {
        "same" => 5,
        "backwards" => 127 - thread,
        "apart" => thread * 3,
        "halves" => thread / 16,
        "tiles" => thread % 16,
        "one off" if thread == 77 => 3,
        _ => thread,
    };
    let words: Vec<u32> = (0..512)
        .map(|i: u32| i.wrapping_mul(2_654_435_761))
        .collect();
    for pattern in [
        "same",
        "backwards",
        "apart",
        "halves",
        "tiles",
        "one off",
        "beside",
    ] {
        for threads in [128, 100, 16, 5] {
            let index = index(pattern);
            let body = format!(
                "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; mov.u32 %r1, %tid.x;
                mov.u32 %r9, %ntid.x; mov.u32 %r2, %r1;
                COPY: mul.wide.u32 %rd3, %r2, 4; add.u64 %rd4, %rd1, %rd3;
                ld.global.u32 %r4, [%rd4]; shl.b32 %r5, %r2, 2; mov.u32 %r6, words;
                add.u32 %r6, %r6, %r5; st.shared.u32 [%r6], %r4;
                add.u32 %r2, %r2, %r9; setp.lt.u32 %p2, %r2, 512; @%p2 bra COPY;
                bar.sync 0;
                {index}
                mul.wide.u32 %rd3, %r3, 4; add.u64 %rd4, %rd1, %rd3; ld.global.u32 %r4, [%rd4];
                shl.b32 %r5, %r3, 2; mov.u32 %r6, words; add.u32 %r6, %r6, %r5;
                ld.shared.u32 %r7, [%r6];
                mul.wide.u32 %rd5, %r1, 8; add.u64 %rd6, %rd2, %rd5;
                st.global.u32 [%rd6], %r4; st.global.u32 [%rd6+4], %r7;
                add.u64 %rd7, %rd2, 4096; add.u64 %rd7, %rd7, %rd3; st.global.u32 [%rd7], %r1;
                ret;"
            );
            let mut device = Device::new(&kernel(".param .u64 in, .param .u64 out", &body));
            let from = device.buffer(&bytes_of(&words, |word| word.to_le_bytes()));
            let to = device.buffer(&[0xee; 8192]);
            let parameters = [from, to].map(u64::to_le_bytes).concat();
            device
                .launch("test", 1, threads, &parameters)
                .unwrap_or_else(|error| panic!("{pattern}: {error}"));
            let mut stored = vec![0xeeee_eeee; 1024];
            for (thread, pair) in (0..threads).zip(device.words(to, 1024).chunks(2)) {
                let index = host(pattern, thread) as usize;
                assert_eq!(
                    pair, [words[index]; 2],
                    "{pattern}, thread {thread} of {threads}"
                );
                // Of lanes that store to one place, the last one's stays.
                stored[index] = thread;
            }
            assert_eq!(
                device.words(to + 4096, 1024),
                stored,
                "{pattern} of {threads}"
            );
        }
    }
}

/// `.v2` and `.v4`, side by side and apart, of whole and of part warps.
#[test]
fn vectors_are_loaded_and_stored() {
    for (count, step) in [(2, 8), (2, 16), (4, 16), (4, 32)] {
        for threads in [64, 48, 16, 7] {
            let names = ["%r4, %r5", "%r4, %r5, %r6, %r7"][usize::from(count == 4)];
            let body = format!(
                "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; mov.u32 %r1, %tid.x;
                mul.wide.u32 %rd3, %r1, {step}; add.u64 %rd4, %rd1, %rd3; add.u64 %rd5, %rd2, %rd3;
                ld.global.v{count}.u32 {{{names}}}, [%rd4];
                mul.lo.u32 %r2, %r1, {step}; mov.u32 %r3, words; add.u32 %r2, %r2, %r3;
                st.shared.v{count}.u32 [%r2], {{{names}}};
                mov.u32 %r4, 0; mov.u32 %r5, 0;
                ld.shared.v{count}.u32 {{{names}}}, [%r2];
                add.u32 %r4, %r4, 1;
                st.global.v{count}.u32 [%rd5], {{{names}}}; ret;"
            );
            let mut device = Device::new(&kernel(".param .u64 in, .param .u64 out", &body));
            let words: Vec<u32> = (0..1024).map(|word| word * 3).collect();
            let from = device.buffer(&bytes_of(&words, |word| word.to_le_bytes()));
            let to = device.buffer(&[0; 4096]);
            let parameters = [from, to].map(u64::to_le_bytes).concat();
            device
                .launch("test", 1, threads, &parameters)
                .expect("runs");
            let mut expected = vec![0; 1024];
            for thread in 0..threads as usize {
                let first = thread * step / 4;
                expected[first..first + count].copy_from_slice(&words[first..first + count]);
                expected[first] += 1;
            }
            assert_eq!(
                device.words(to, 1024),
                expected,
                "v{count}, {step} bytes, {threads}"
            );
        }
    }
}

/// Small blocks go side by side: each has its own shared memory and barriers,
/// and leaves nothing in it for the next one.
#[test]
fn blocks_side_by_side_do_not_meet() {
    let body = "
        ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;
        shl.b32 %r3, %r1, 2; mov.u32 %r4, words; add.u32 %r3, %r3, %r4;
        ld.shared.u32 %r5, [%r3]; mad.lo.u32 %r5, %r2, 100, %r5; add.u32 %r5, %r5, %r1;
        st.shared.u32 [%r3], %r5; bar.sync 0;
        setp.gt.u32 %p1, %r2, 20; @%p1 bar.sync 1;
        xor.b32 %r6, %r1, 1; shl.b32 %r6, %r6, 2; add.u32 %r6, %r6, %r4;
        ld.shared.u32 %r7, [%r6];
        mov.u32 %r8, %ntid.x; mad.lo.u32 %r9, %r2, %r8, %r1; mul.wide.u32 %rd2, %r9, 4;
        add.u64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r7; ret;";
    for (blocks, threads) in [(37, 2), (37, 64), (9, 40), (3, 256)] {
        for host in [1, 3] {
            let text = kernel(".param .u64 out", body);
            let mut device = Device::with(&text, host, 1_000_000);
            let count = (blocks * threads) as usize;
            let out = device.buffer(&vec![0; count * 4]);
            let done = device
                .launch("test", blocks, threads, &out.to_le_bytes())
                .expect("runs");
            assert_eq!(done.blocks, u64::from(blocks));
            for (index, got) in (0..).zip(device.words(out, count)) {
                let expected = index / threads * 100 + ((index % threads) ^ 1);
                assert_eq!(got, expected, "{index} of {blocks} x {threads}");
            }
        }
    }
}

/// What one launch leaves in registers, the next does not see.
#[test]
fn registers_are_zero_when_a_launch_begins() {
    let body = "
        ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;
        add.u64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r9; mov.u32 %r9, 77; ret;";
    let mut device = Device::new(&kernel(".param .u64 out", body));
    let out = device.buffer(&[0xee; 256]);
    for _ in 0..3 {
        device
            .launch("test", 1, 64, &out.to_le_bytes())
            .expect("runs");
        assert_eq!(device.words(out, 64), [0; 64]);
    }
}

/// Past the end by the last lane alone, before the start by the first one, and
/// misaligned in all: in each kind of memory, and each way.
#[test]
fn half_a_warp_is_checked_to_its_ends() {
    for (address, step, thread) in [(4, 4, 31), (-4, 4, 0), (2, 4, 0), (-1, 0, 0)] {
        for access in ["ld.global.u32 %r2, [%rd1];", "st.global.u32 [%rd1], %r1;"] {
            let body = format!(
                "ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, {step};
                add.u64 %rd1, %rd1, %rd2; add.s64 %rd1, %rd1, {address}; {access} ret;"
            );
            let mut device = Device::new(&kernel(".param .u64 out", &body));
            let out = device.buffer(&[0; 128]);
            let failed = device.launch("test", 1, 32, &out.to_le_bytes());
            let Err(LaunchError::Fault(fault)) = failed else {
                panic!("{address} {access}: {failed:?}");
            };
            assert_eq!(fault.thread, [thread, 0, 0], "{address} {access}: {fault}");
        }
        for access in ["ld.shared.u32 %r2, [%r1];", "st.shared.u32 [%r1], %r1;"] {
            let start = match address {
                4 => 4096 - 124,
                other => other,
            };
            let body = format!(
                "mov.u32 %r1, %tid.x; mul.lo.u32 %r1, %r1, {step}; mov.u32 %r2, words;
                add.u32 %r1, %r1, %r2; add.s32 %r1, %r1, {start}; {access} ret;"
            );
            let mut device = Device::new(&kernel("", &body));
            let failed = device.launch("test", 1, 32, &[]);
            let Err(LaunchError::Fault(fault)) = failed else {
                panic!("{address} {access}: {failed:?}");
            };
            assert_eq!(fault.thread, [thread, 0, 0], "{address} {access}: {fault}");
        }
    }
}
