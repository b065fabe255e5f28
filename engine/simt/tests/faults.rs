//! What ends a kernel, and what must not.

mod common;

use common::Device;
use vgpu_simt::{Cause, Fault, LaunchError};

const HEAD: &str = ".version 7.0\n.target sm_70\n.address_size 64\n";

fn fault(result: Result<vgpu_simt::Statistics, LaunchError>) -> Fault {
    match result {
        Err(LaunchError::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_access_outside_names_kernel_thread_line_and_address() {
    let text = format!(
        "{HEAD}.visible .entry past(.param .u64 to) {{
        .reg .b64 %a, %o; .reg .b32 %t;
        ld.param.u64 %a, [to];
        mov.u32 %t, %tid.x;
        mul.wide.u32 %o, %t, 4;
        add.u64 %a, %a, %o;
        st.global.u32 [%a], %t;
        ret; }}"
    );
    let mut device = Device::new(&text);
    let buffer = device.buffer(&[0; 40]);
    let fault = fault(device.launch("past", 3, 16, &buffer.to_le_bytes()));
    assert_eq!(
        (fault.block, fault.thread, fault.line),
        ([0; 3], [10, 0, 0], 10)
    );
    assert_eq!(
        fault.to_string(),
        format!(
            "illegal global access: 4 bytes at {:#x}: past the allocation of 40 bytes at {buffer:#x}; \
             kernel past, block (0, 0, 0), thread (10, 0, 0), PTX line 10",
            buffer + 40
        )
    );
    // The device goes on.
    device
        .launch("past", 1, 10, &buffer.to_le_bytes())
        .expect("runs");
}

/// The body, and what it has to end with.
#[test]
fn each_kind_of_fault() {
    type Expected = fn(&Cause) -> bool;
    let kinds: [(&str, Expected); 15] = [
        ("st.global.u32 [0], 1;", |c| matches!(c, Cause::Global(_))),
        (".shared .b8 s[16]; st.shared.u32 [s+16], 1;", |c| {
            matches!(c, Cause::Shared { address: 16, .. })
        }),
        (".shared .align 4 .b8 s[16]; st.shared.u32 [s+2], 1;", |c| {
            matches!(c, Cause::Shared { .. })
        }),
        (
            ".local .align 8 .b8 l[8]; .reg .b32 %x; ld.local.u32 %x, [l+16];",
            |c| matches!(c, Cause::Local { .. }),
        ),
        (".reg .b64 %x; ld.param.u64 %x, [p+8];", |c| {
            matches!(c, Cause::Parameter { .. })
        }),
        ("trap;", |c| *c == Cause::Trap),
        ("bar.sync 16;", |c| *c == Cause::Barrier(16)),
        ("bar.sync 1, 33;", |c| *c == Cause::BarrierCount(33)),
        ("bar.arrive 1, 16;", |c| *c == Cause::BarrierCount(16)),
        // By one byte, where nothing is behind it but what makes it even.
        (".shared .b8 s[4]; st.shared.u8 [s+4], 1;", |c| {
            matches!(
                c,
                Cause::Shared {
                    address: 4,
                    length: 4,
                    ..
                }
            )
        }),
        (".local .b8 l[4]; st.local.u8 [l+4], 1;", |c| {
            matches!(
                c,
                Cause::Local {
                    address: 4,
                    length: 4,
                    ..
                }
            )
        }),
        (
            ".shared .align 16 .b8 s[8]; .reg .b32 %x<4>; ld.shared.v4.u32 {%x0, %x1, %x2, %x3}, [s];",
            |c| {
                matches!(
                    c,
                    Cause::Shared {
                        size: 16,
                        length: 8,
                        ..
                    }
                )
            },
        ),
        // Generic addresses have 48 bits below the window's.
        (
            ".local .b8 l[4]; .reg .b64 %x; mov.u64 %x, l; cvta.local.u64 %x, %x; add.u64 %x, %x, 4294967296; st.u8 [%x], 1;",
            |c| matches!(c, Cause::Local { .. }),
        ),
        (
            ".shared .b8 s[4]; .reg .b64 %x; mov.u64 %x, s; cvta.shared.u64 %x, %x; add.u64 %x, %x, 4294967296; st.u8 [%x], 1;",
            |c| matches!(c, Cause::Shared { .. }),
        ),
        (
            ".reg .b64 %f; .reg .b32 %i; ld.param.u64 %f, [p]; call %f, ();",
            |c| matches!(c, Cause::Call(_)),
        ),
    ];
    for (body, expected) in kinds {
        let text = format!("{HEAD}.visible .entry k(.param .u64 p) {{ {body} ret; }}");
        let fault = fault(Device::new(&text).launch("k", 1, 32, &[0; 8]));
        assert!(expected(&fault.cause), "{body}: {fault}");
        assert_eq!(fault.line, 4, "{body}");
    }
}

#[test]
fn what_waits_for_ever_is_found() {
    let text = format!(
        "{HEAD}.visible .entry barrier() {{
        .reg .pred %p; .reg .b32 %t;
        mov.u32 %t, %tid.x; setp.eq.u32 %p, %t, 40;
        @%p bar.sync 1, 64;
        ret; }}
        .visible .entry shuffle() {{
        .reg .pred %p; .reg .b32 %t;
        mov.u32 %t, %tid.x; setp.lt.u32 %p, %t, 7;
        @%p bra wait;
        bar.sync 0;
        ret;
        wait: shfl.sync.idx.b32 %t, %t, 0, 31, -1;
        bar.sync 0;
        ret; }}
        .visible .entry around() {{ again: bra again; }}"
    );
    let mut device = Device::with(&text, 1, 1_000_000);
    assert_eq!(
        fault(device.launch("barrier", 1, 64, &[])).cause,
        Cause::Deadlock
    );
    let found = fault(device.launch("shuffle", 1, 32, &[]));
    assert_eq!(found.cause, Cause::Deadlock);
    let stopped = fault(device.launch("around", 1, 32, &[])).cause;
    assert!(
        matches!(stopped, Cause::Stopped(n) if n > 1_000_000),
        "{stopped}"
    );
}

/// Each lane takes a lock of its own warp: the others go around until then.
#[test]
fn a_lock_within_a_warp_is_passed_on() {
    let text = format!(
        "{HEAD}.visible .entry count(.param .u64 lock) {{
        .reg .b64 %l; .reg .b32 %x; .reg .pred %p;
        ld.param.u64 %l, [lock];
        again: atom.global.cas.b32 %x, [%l], 0, 1;
        setp.ne.u32 %p, %x, 0;
        @%p bra again;
        ld.global.u32 %x, [%l+4];
        add.u32 %x, %x, 1;
        st.global.u32 [%l+4], %x;
        membar.gl;
        atom.global.exch.b32 %x, [%l], 0;
        ret; }}"
    );
    let mut device = Device::new(&text);
    let lock = device.buffer(&[0; 8]);
    device
        .launch("count", 1, 64, &lock.to_le_bytes())
        .expect("ends");
    assert_eq!(device.words(lock, 2), [0, 64]);
}

#[test]
fn barriers_with_results_shuffles_and_votes() {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to) {{
        .reg .b64 %a, %o; .reg .b32 %t, %x, %y, %l; .reg .pred %p, %q;
        ld.param.u64 %a, [to];
        mov.u32 %t, %tid.x; mov.u32 %l, %laneid;
        mul.wide.u32 %o, %t, 20; add.u64 %a, %a, %o;
        setp.lt.u32 %p, %t, 40;
        bar.red.popc.u32 %x, 2, %p;
        st.global.u32 [%a], %x;
        bar.red.or.pred %q, 3, !%p; selp.u32 %x, 1, 0, %q; st.global.u32 [%a+4], %x;
        shfl.sync.up.b32 %x|%q, %t, 1, 0, -1; selp.u32 %y, 100, 0, %q; add.u32 %x, %x, %y;
        st.global.u32 [%a+8], %x;
        shfl.sync.idx.b32 %x, %t, 9, 0x181f, -1; st.global.u32 [%a+12], %x;
        and.b32 %y, %l, 1; setp.eq.u32 %q, %y, 0;
        @%q bra even;
        vote.sync.ballot.b32 %x, %p, 0xaaaaaaaa; bra.uni join;
        even: activemask.b32 %x;
        join: st.global.u32 [%a+16], %x;
        ret; }}"
    );
    let mut device = Device::new(&text);
    let to = device.buffer(&[0; 20 * 64]);
    device.launch("k", 1, 64, &to.to_le_bytes()).expect("runs");
    for (thread, row) in (0..).zip(device.words(to, 5 * 64).chunks(5)) {
        let lane = thread % 32;
        let up = if lane == 0 { thread } else { thread - 1 + 100 };
        // Segments of eight: lane 9 is the second of each.
        let index = thread / 8 * 8 + 1;
        let ballot = match (lane % 2, thread < 32) {
            (0, _) => 0x5555_5555,
            (_, true) => 0xaaaa_aaaa,
            _ => 0xaa,
        };
        assert_eq!(row, [40, 1, up, index, ballot], "thread {thread}");
    }
}

#[test]
fn launches_that_no_device_takes() {
    let text = format!("{HEAD}.visible .entry k(.param .u64 p) .maxntid 64 {{ ret; }}");
    let mut device = Device::new(&text);
    let shapes = [
        ([1, 1, 1], [65, 1, 1], 0),
        ([0, 1, 1], [1, 1, 1], 0),
        ([1, 65536, 1], [1, 1, 1], 0),
        ([1, 1, 1], [u32::MAX, u32::MAX, u32::MAX], 0),
        ([1, 1, 1], [1, 1, 1], 228 << 10),
        ([1, 1, 1], [0, 1, 1], 0),
    ];
    for (blocks, threads, shared) in shapes {
        let error = device
            .shaped("k", blocks, threads, shared, &[0; 8])
            .expect_err("refused");
        assert!(matches!(error, LaunchError::Shape(_)), "{error}");
    }
    let short = device.launch("k", 1, 1, &[0; 7]).expect_err("refused");
    assert!(
        matches!(
            short,
            LaunchError::Parameters {
                given: 7,
                needed: 8
            }
        ),
        "{short}"
    );
}

/// All of a device's shared memory may be asked for, however little the kernel
/// declares ahead of it.
#[test]
fn all_shared_memory_can_be_asked_for() {
    let text = format!(
        "{HEAD}.extern .shared .align 16 .b8 more[];
        .visible .entry k() {{
        .shared .b8 s[5]; .reg .b64 %x;
        mov.u64 %x, more;
        st.shared.u8 [s+4], 1; st.shared.u8 [%x+232442], 1;
        ret; }}"
    );
    let mut device = Device::new(&text);
    let all = 227 << 10;
    let launched = device.shaped("k", [1; 3], [1; 3], all - 5, &[]);
    launched.expect("runs");
    let error = device.shaped("k", [1; 3], [1; 3], all - 4, &[]);
    assert!(matches!(error, Err(LaunchError::Shape(_))), "{error:?}");
}

#[test]
fn what_the_table_does_not_have_is_named() {
    let refused = |body: &str| {
        let text = format!(
            "{HEAD}.visible .entry k() {{\n.reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %l<2>;\n  {body}\n}}"
        );
        let module = vgpu_ptx::parse(&text).expect("grammar");
        let mut memory = vgpu_device_memory::Memory::new(1 << 32, 1 << 40, 1 << 20);
        let error = vgpu_simt::Program::load(&module, &mut memory).expect_err("refused");
        assert_eq!(memory.count(), 0, "nothing is left");
        error.to_string()
    };
    let table = [
        (
            "mma.sync.aligned.m16n8k8 %r1, %r2;",
            "unknown form `mma.sync.aligned.m16n8k8`",
        ),
        ("sin.approx.f64 %l0, %l1;", "unknown form `sin.approx.f64`"),
        ("add.s32 %r1, %r2;", "`add.s32`: operand 3: missing"),
        (
            "add.s32 %r1, %r2, %l1;",
            "`add.s32`: operand 3: `%l1` is `.b64`, and 32 bits are taken",
        ),
        (
            "add.f32 %f1, %f2, 1;",
            "`add.f32`: operand 3: an integer for a float",
        ),
        (
            "ld.global.v2.u32 %r1, [%l1];",
            "`ld.global.v2.u32`: operand 1: not a vector of 2",
        ),
        (
            "mov.u32 %r1, %tid;",
            "`mov.u32`: operand 2: no register `%tid`",
        ),
    ];
    for (body, text) in table {
        assert_eq!(refused(body), format!("line 6, column 3: {text}"));
    }
}

#[test]
fn a_check_names_all_that_is_not_taken() {
    let check = |body: &str, most| {
        let text = format!(
            "{HEAD}.global .b8 g[64];\n.visible .entry k() {{\n.reg .b32 %r<9>;\n{body}\nret;\n}}"
        );
        let module = vgpu_ptx::parse(&text).expect("grammar");
        let mut memory = vgpu_device_memory::Memory::new(1 << 32, 1 << 40, 1 << 20);
        let errors = vgpu_simt::Program::check(&module, &mut memory, most).expect("looked at");
        assert_eq!(memory.count(), 0, "nothing is left");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let body = "add.s32 %r1, %r2, %r3;\nmma.sync %r1, %r2;\nend: add.s32 %r1, %r2;";
    let all = [
        "line 8, column 1: unknown form `mma.sync`",
        "line 9, column 6: `add.s32`: operand 3: missing",
    ];
    assert_eq!(check(body, 9), all);
    assert_eq!(check(body, 1), all[..1]);
    assert!(check("add.s32 %r1, %r2, %r3;", 9).is_empty());
}

#[test]
fn what_would_take_too_much_is_refused() {
    let many: String = (0..70_000).map(|i| format!("mov.u32 %r{i}, 1;")).collect();
    let text = format!("{HEAD}.visible .entry k() {{ .reg .b32 %r<70000>; {many} }}");
    let module = vgpu_ptx::parse(&text).expect("grammar");
    let mut memory = vgpu_device_memory::Memory::new(1 << 32, 1 << 40, 1 << 20);
    let error = vgpu_simt::Program::load(&module, &mut memory).expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("registers in use of more than 65536"),
        "{error}"
    );

    let text = format!(
        "{HEAD}.func again() {{ .local .b8 l[1024]; .reg .b64 %x; mov.u64 %x, l; call again; ret; }}
        .visible .entry k() {{ call again; ret; }}"
    );
    let found = fault(Device::new(&text).launch("k", 1, 32, &[]));
    assert!(matches!(found.cause, Cause::Stack(65536)), "{found}");

    // An address that wraps is an access outside, and nothing else.
    let text = format!(
        "{HEAD}.visible .entry k() {{ .local .b32 l; st.local.u32 [l+-2147483648], 1; ret; }}"
    );
    let found = fault(Device::new(&text).launch("k", 1, 1, &[]));
    assert!(matches!(found.cause, Cause::Local { .. }), "{found}");
}
