//! Which instructions are taken out, and that a kernel does not see it.

use std::sync::Arc;

use vgpu_device_memory::Memory;

use crate::{Executor, Launch, Program};

/// A kernel that stores `%r`, with `body` from line 6 on.
fn load(body: &[&str], memory: &mut Memory) -> Arc<Program> {
    let text = format!(
        ".version 7.0\n.target sm_70\n.address_size 64
        .visible .func (.param .u32 o) f(.param .u32 i) {{ .reg .b32 %x; ld.param.u32 %x, [i]; add.u32 %x, %x, 1; st.param.u32 [o], %x; ret; }}
        .visible .entry k(.param .u64 to, .param .u32 n) {{ .reg .b32 %a<4>, %r; .reg .b64 %w<4>; .reg .pred %p<3>; .param .u32 q;\n{}\n
        ld.param.u64 %w0, [to]; mov.u32 %a1, %ctaid.x; mov.u32 %a2, %ntid.x; mov.u32 %a3, %tid.x; mad.lo.u32 %a1, %a1, %a2, %a3;
        mul.wide.u32 %w1, %a1, 4; add.u64 %w0, %w0, %w1; st.global.u32 [%w0], %r; ret; }}",
        body.join("\n")
    );
    let module = vgpu_ptx::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Arc::new(Program::load(&module, memory).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

#[test]
fn what_a_launch_decides_is_taken_where_nothing_else_writes_it() {
    let table: [(&[&str], &[u32]); 18] = [
        (&["mov.u32 %r, %tid.x;"], &[6]),
        (&["ld.param.u32 %r, [n];"], &[6]),
        (
            &["mov.u32 %a0, %ntid.x;", "mul.lo.u32 %r, %a0, 3;"],
            &[6, 7],
        ),
        (
            &["setp.lt.u32 %p0, 1, 2;", "selp.u32 %r, 1, 0, %p0;"],
            &[6, 7],
        ),
        (
            &["setp.lt.u32 %p0, 1, 2;", "selp.u32 %r, 1, 0, !%p0;"],
            &[6, 7],
        ),
        // The block decides, or when it is done.
        (&["mov.u32 %a0, %ctaid.x;", "add.u32 %r, %a0, 1;"], &[]),
        (&["mov.u32 %r, %clock;"], &[]),
        // Another writes it: an instruction, a call, a load, the second result of a comparison.
        (&["mov.u32 %r, 1;", "mov.u32 %r, 2;"], &[]),
        (&["mov.u32 %r, 1;", "call (%r), f, (%r);"], &[]),
        (&["mov.u32 %r, 1;", "ld.global.u32 %r, [%w2];"], &[]),
        (
            &["setp.lt.u32 %p0, 1, 2;", "setp.lt.u32 %p1|%p0, %a1, 2;"],
            &[],
        ),
        // It depends on itself, or on what comes later.
        (&["add.u32 %r, %r, 1;"], &[]),
        (&["add.u32 %r, %a0, 1;", "mov.u32 %a0, 1;"], &[]),
        // It is read before, or there is a way around.
        (&["st.global.u32 [%w2], %r;", "mov.u32 %r, 1;"], &[]),
        (
            &[
                "setp.lt.u32 %p0, %a1, 2;",
                "@%p0 bra l;",
                "mov.u32 %r, 1;",
                "l:",
            ],
            &[],
        ),
        (
            &[
                "mov.u32 %r, 1;",
                "l: setp.lt.u32 %p0, %a1, 2;",
                "@%p0 bra l;",
            ],
            &[6],
        ),
        (
            &[
                "bra m;",
                "l: mov.u32 %a0, 1;",
                "m: add.u32 %r, %a0, 1;",
                "setp.lt.u32 %p0, %a1, 2;",
                "@%p0 bra l;",
            ],
            &[],
        ),
        // Not all lanes do it.
        (&["setp.lt.u32 %p0, %a1, 2;", "@%p0 mov.u32 %r, 1;"], &[]),
    ];
    for (body, expected) in table {
        let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
        let program = load(body, &mut memory);
        let kernel = &program.bodies[program.kernels[0].body as usize];
        let lines = kernel.invariant.iter().map(|step| step.instruction.line);
        let of_body: Vec<u32> = lines.filter(|line| *line < 6 + body.len() as u32).collect();
        assert_eq!(of_body, expected, "{body:?}");
    }
}

/// Values that stay from block to block are those of the launch, and each instruction counts.
#[test]
fn each_launch_has_its_own() {
    let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
    let body = [
        "ld.param.u32 %a0, [n];",
        "mov.u32 %r, %ntid.x;",
        "mad.lo.u32 %r, %a0, 1000, %r;",
    ];
    let first = load(&body, &mut memory);
    let second = load(
        &["mov.u32 %a0, %tid.x;", "mul.lo.u32 %r, %a0, %a0;"],
        &mut memory,
    );
    let to = memory.alloc(4 * 4096).expect("room");
    for hosts in [1, 2] {
        let mut executor = Executor::new(hosts, u64::MAX);
        for (program, n, blocks, threads) in [
            (&first, 7, 5, 64),
            (&first, 8, 3, 40),
            (&second, 0, 9, 300),
            (&first, 9, 33, 31),
            (&second, 0, 4, 1024),
        ] {
            let mut parameters = to.to_le_bytes().to_vec();
            parameters.extend(u32::to_le_bytes(n));
            let launch = Launch {
                kernel: "k",
                blocks: [blocks, 1, 1],
                threads: [threads, 1, 1],
                shared: 0,
                parameters: &parameters,
            };
            let done = executor
                .launch(program, &memory.view(), &launch)
                .expect("runs");
            let length = if n == 0 { 11 } else { 12 };
            assert_eq!(done.lane_instructions, u64::from(length * blocks * threads));
            let mut bytes = vec![0; (4 * blocks * threads) as usize];
            memory.read(to, &mut bytes).expect("there");
            for (index, word) in bytes.chunks_exact(4).enumerate() {
                let thread = index as u32 % threads;
                let expected = if n == 0 {
                    thread * thread
                } else {
                    n * 1000 + threads
                };
                assert_eq!(
                    word,
                    expected.to_le_bytes(),
                    "{n}, {blocks} of {threads}: {index}"
                );
            }
        }
    }
}
