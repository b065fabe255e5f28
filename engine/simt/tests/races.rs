//! Races in shared memory: each is found, with its two places, and nothing else is.

mod common;

use common::Device;
use vgpu_simt::{Cause, Fault, LaunchError};

const HEAD: &str = ".version 8.7\n.target sm_90\n.address_size 64\n";

/// A kernel of two warps or more: `%t` is the thread, `%a` the address of its own
/// word of `s`, `%n` that of its neighbour's, `%f` that of thread 32's.
fn kernel(body: &str) -> String {
    format!(
        "{HEAD}.visible .entry k(.param .u64 out) {{
        .shared .align 16 .b8 s[1024];
        .reg .pred %p, %q; .reg .b32 %t, %o, %x, %y; .reg .b64 %a, %n, %f, %out, %g;
        ld.param.u64 %out, [out]; mov.u32 %t, %tid.x; mov.u64 %a, s; add.u64 %f, %a, 128;
        shl.b32 %o, %t, 2; cvt.u64.u32 %n, %o; add.u64 %a, %a, %n;
        add.u32 %o, %o, 4; and.b32 %o, %o, 255; cvt.u64.u32 %n, %o; mov.u64 %g, s; add.u64 %n, %g, %n;
        setp.eq.u32 %p, %t, 0; setp.eq.u32 %q, %t, 32;
        {body}
        ret; }}"
    )
}

fn launch(text: &str, blocks: u32, threads: u32) -> Result<(), Fault> {
    let mut device = Device::with_race_check(text);
    let out = device.buffer(&[0; 4096]);
    match device.launch("k", blocks, threads, &out.to_le_bytes()) {
        Ok(_) => Ok(()),
        Err(LaunchError::Fault(fault)) => Err(fault),
        Err(other) => panic!("{other}"),
    }
}

fn races(body: &str) -> bool {
    match launch(&kernel(body), 1, 64) {
        Ok(()) => false,
        Err(fault) => match fault.cause {
            Cause::Race { .. } => true,
            other => panic!("{body}: {other}"),
        },
    }
}

/// A sum over 128 threads; `barrier` stands before each step.
fn reduction(barrier: impl Fn(u32) -> &'static str) -> String {
    let mut text = format!(
        "{HEAD}.visible .entry k(.param .u64 out) {{
        .shared .align 4 .b8 s[512]; .reg .pred %p; .reg .b32 %t, %x, %y; .reg .b64 %a, %o, %out;
        ld.param.u64 %out, [out]; mov.u32 %t, %tid.x; mov.u64 %a, s;
        mul.wide.u32 %o, %t, 4; add.u64 %a, %a, %o; st.shared.u32 [%a], %t;\n"
    );
    for stride in [64, 32, 16, 8, 4, 2, 1] {
        text += &format!(
            "{}\nsetp.lt.u32 %p, %t, {stride};
            @%p ld.shared.u32 %x, [%a+{}];
            @%p ld.shared.u32 %y, [%a];
            add.u32 %x, %x, %y;
            @%p st.shared.u32 [%a], %x;\n",
            barrier(stride),
            stride * 4
        );
    }
    text + "setp.eq.u32 %p, %t, 0; @%p st.global.u32 [%out], %x; ret; }"
}

#[test]
fn a_reduction_without_a_barrier() {
    let right = reduction(|_| "bar.sync 0;");
    assert_eq!(launch(&right, 3, 128), Ok(()));
    let by_warp = reduction(|stride| match stride {
        64 | 32 => "bar.sync 0;",
        _ => "bar.warp.sync -1;",
    });
    assert_eq!(launch(&by_warp, 3, 128), Ok(()));
    for missing in [64, 32, 16, 1] {
        let text = reduction(|stride| if stride == missing { "" } else { "bar.sync 0;" });
        let fault = launch(&text, 1, 128).expect_err("races");
        assert!(
            matches!(fault.cause, Cause::Race { .. }),
            "{missing}: {fault}"
        );
    }
    let text = reduction(|stride| if stride == 32 { "" } else { "bar.sync 0;" });
    let fault = launch(&text, 1, 128).expect_err("races");
    assert_eq!(
        fault.to_string(),
        "race in shared memory at 0x80: a read here, a write by thread (32, 0, 0) at PTX line 13, and no \
         barrier between them; kernel k, block (0, 0, 0), thread (0, 0, 0), PTX line 16"
    );
    // A barrier of the warp is none for what another warp does.
    let text = reduction(|stride| match stride {
        32 => "bar.warp.sync -1;",
        _ => "bar.sync 0;",
    });
    assert!(launch(&text, 1, 128).is_err());
    // Nobody looks who was not asked to.
    let mut device = Device::new(&reduction(|_| ""));
    let out = device.buffer(&[0; 4]);
    device
        .launch("k", 1, 128, &out.to_le_bytes())
        .expect("runs");
}

#[test]
fn two_accesses_of_two_threads() {
    for (body, expected) in [
        // Each its own.
        (
            "st.shared.u32 [%a], %t; ld.shared.u32 %x, [%a]; st.shared.u32 [%a], %x;",
            false,
        ),
        ("st.shared.u32 [%a], %t; ld.shared.u32 %x, [%n];", true),
        (
            "st.shared.u32 [%a], %t; bar.sync 0; ld.shared.u32 %x, [%n];",
            false,
        ),
        ("ld.shared.u32 %x, [%n]; st.shared.u32 [%a], %t;", true),
        (
            "ld.shared.u32 %x, [%n]; bar.sync 0; st.shared.u32 [%a], %t;",
            false,
        ),
        // Lanes of one instruction, other values or the same ones.
        ("st.shared.u32 [s], %t;", true),
        ("st.shared.u32 [s], 7;", false),
        ("@%p st.shared.u32 [s], 1; @%q st.shared.u32 [s], 2;", true),
        ("@%p st.shared.u32 [s], 1; @%q st.shared.u32 [s], 1;", false),
        // Bytes of one word.
        ("@%p st.shared.u8 [s], 1; @%q st.shared.u8 [s+1], 2;", false),
        (
            "@%p st.shared.u8 [s+3], 1; @%q ld.shared.u32 %x, [s];",
            true,
        ),
        (
            "@%p st.shared.v2.u32 [s], {%t, %t}; @%q ld.shared.u32 %x, [s+4];",
            true,
        ),
        (
            "@%p ld.shared.v2.u32 {%x, %y}, [s]; @%q st.shared.u32 [s+4], %t;",
            true,
        ),
        // Two have read before.
        (
            "@%p ld.shared.u32 %x, [s]; @%q ld.shared.u32 %x, [s]; @%q st.shared.u32 [s], 1;",
            true,
        ),
        (
            "@%q ld.shared.u32 %x, [s]; @%p ld.shared.u32 %x, [s]; @%p st.shared.u32 [s], 1;",
            true,
        ),
        // By generic addresses.
        (
            "cvta.shared.u64 %g, %a; st.u32 [%g], %t; ld.shared.u32 %x, [%n];",
            true,
        ),
        (
            "cvta.shared.u64 %g, %n; st.shared.u32 [%a], %t; ld.u32 %x, [%g];",
            true,
        ),
        // Not of this memory.
        ("st.global.u32 [%out], %t; ld.global.u32 %x, [%out];", false),
        // Which barrier it is does not matter.
        (
            "st.shared.u32 [%a], %t; bar.sync 3, 64; ld.shared.u32 %x, [%n];",
            false,
        ),
        (
            "st.shared.u32 [%a], %t; bar.red.popc.u32 %y, 0, %p; ld.shared.u32 %x, [%n];",
            false,
        ),
    ] {
        assert_eq!(races(body), expected, "{body}");
    }
}

#[test]
fn what_is_ordered_by_itself() {
    for (body, expected) in [
        (
            "atom.shared.add.u32 %x, [s], 1; red.shared.add.u32 [s], 1;",
            false,
        ),
        (
            "atom.shared.add.u32 %x, [s], 1; ld.shared.u32 %x, [s];",
            true,
        ),
        (
            "ld.shared.u32 %x, [s]; atom.shared.add.u32 %x, [s], 1;",
            true,
        ),
        (
            "@%p st.shared.u32 [s], 5; atom.shared.add.u32 %x, [s], 1;",
            true,
        ),
        (
            "@%p st.shared.u32 [s], 5; bar.sync 0; atom.shared.add.u32 %x, [s], 1;",
            false,
        ),
        (
            "st.volatile.shared.u32 [%a], %t; ld.volatile.shared.u32 %x, [%n];",
            false,
        ),
        (
            "st.release.cta.shared.u32 [%a], %t; ld.acquire.cta.shared.u32 %x, [%n];",
            false,
        ),
        (
            "st.relaxed.cta.shared.u32 [%a], %t; ld.shared.u32 %x, [%n];",
            true,
        ),
        (
            "atom.shared.add.u32 %x, [s], 1; ld.volatile.shared.u32 %x, [s];",
            false,
        ),
    ] {
        assert_eq!(races(body), expected, "{body}");
    }
}

/// A barrier of a warp orders its own lanes alone.
#[test]
fn barriers_of_a_warp() {
    let within = "xor.b32 %o, %t, 1; shl.b32 %o, %o, 2; cvt.u64.u32 %n, %o; mov.u64 %g, s; add.u64 %n, %g, %n;";
    for (body, expected) in [
        ("st.shared.u32 [%a], %t; ld.shared.u32 %x, [%n];", true),
        (
            "st.shared.u32 [%a], %t; bar.warp.sync -1; ld.shared.u32 %x, [%n];",
            false,
        ),
        (
            "st.shared.u32 [%a], %t; shfl.sync.idx.b32 %x, %t, 0, 31, -1; ld.shared.u32 %x, [%n];",
            true,
        ),
        (
            "bar.warp.sync -1; st.shared.u32 [%a], %t; ld.shared.u32 %x, [%n]; bar.warp.sync -1;",
            true,
        ),
    ] {
        assert_eq!(races(&format!("{within} {body}")), expected, "{body}");
    }
    let far = "@%p st.shared.u32 [s], 5; bar.warp.sync -1; @%q ld.shared.u32 %x, [s];";
    assert!(races(far));
}

/// Copies and matrices are accesses too.
#[test]
fn copies_and_matrices() {
    let copy = "cp.async.ca.shared.global [%a], [%out], 4; cp.async.wait_all;";
    let read = "ld.shared.u32 %x, [%n];";
    assert!(races(&format!("{copy} {read}")));
    assert!(!races(&format!("{copy} bar.sync 0; {read}")));
    let matrix = "and.b32 %o, %t, 15; shl.b32 %o, %o, 4; cvt.u64.u32 %n, %o; mov.u64 %g, s; add.u64 %n, %g, %n;
        ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%x}, [%n];";
    assert!(races(&format!("st.shared.u32 [%a], %t; {matrix}")));
    assert!(!races(&format!(
        "st.shared.u32 [%a], %t; bar.sync 0; {matrix}"
    )));
}

/// One warp fills what another takes, by two barriers of their own.
#[test]
fn a_warp_that_produces_for_another() {
    let text = |arrive: &str| {
        kernel(&format!(
            "setp.ge.u32 %p, %t, 32; @%p bra TAKE;
            mov.u32 %o, 0;
            FILL: st.shared.u32 [%a], %o; {arrive} bar.sync 2, 64;
            add.u32 %o, %o, 1; setp.lt.u32 %p, %o, 5; @%p bra FILL;
            ret;
            TAKE: mov.u32 %o, 0;
            MORE: bar.sync 1, 64; ld.shared.u32 %x, [%a+-128]; bar.arrive 2, 64;
            add.u32 %o, %o, 1; setp.lt.u32 %p, %o, 5; @%p bra MORE;"
        ))
    };
    assert_eq!(launch(&text("bar.arrive 1, 64;"), 2, 64), Ok(()));
}

/// Blocks side by side have memories of their own, and none sees those before it.
#[test]
fn blocks_do_not_race() {
    let text = kernel("st.shared.u32 [%a], %ctaid.x; bar.sync 0; ld.shared.u32 %x, [%n];");
    assert_eq!(launch(&text, 100, 64), Ok(()));
    let text = kernel("ld.shared.u32 %x, [%n]; bar.sync 0; st.shared.u32 [%a], %ctaid.x;");
    assert_eq!(launch(&text, 100, 64), Ok(()));
}
