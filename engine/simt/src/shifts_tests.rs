//! What is shifted, and that a kernel does not see it.

use std::sync::Arc;

use proptest::prelude::*;
use vgpu_device_memory::Memory;

use crate::{Executor, Launch, Program};

/// A kernel that stores `%w9`, with `body` from line 3 on. An access that no thread does has it as its address.
fn load(body: &[String], memory: &mut Memory) -> Arc<Program> {
    let text = format!(
        ".version 7.0\n.target sm_70\n.address_size 64 .visible .entry k(.param .u64 to, .param .u32 n) {{ .reg .b32 %a<10>, %x, %y, %z; .reg .b64 %w<10>, %o<4>; .reg .pred %p<2>; {}
        setp.eq.u64 %p0, %w9, 0x123456789; @%p0 bra never;
        ld.param.u64 %o0, [to]; mov.u32 %x, %ctaid.x; mov.u32 %y, %ntid.x; mov.u32 %z, %tid.x; mad.lo.u32 %x, %x, %y, %z;
        mul.wide.u32 %o1, %x, 8; add.u64 %o0, %o0, %o1; st.global.u64 [%o0], %w9; ret;
        never: ld.global.u32 %x, [%w9]; ret; }}",
        body.join("\n")
    );
    let module = vgpu_ptx::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Arc::new(Program::load(&module, memory).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// The lines of a body of which a launch decides the row, and each block the shift.
fn shifted(body: &[&str]) -> Vec<u32> {
    let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
    let body: Vec<_> = body.iter().map(ToString::to_string).collect();
    let program = load(&body, &mut memory);
    let kernel = &program.bodies[program.kernels[0].body as usize];
    let rows: Vec<_> = kernel.shifts.iter().map(|shift| shift.row).collect();
    let of = kernel
        .invariant
        .iter()
        .filter(|step| rows.contains(&step.instruction.operands[0]));
    let lines = of.map(|step| step.instruction.line);
    lines.filter(|line| *line < 3 + body.len() as u32).collect()
}

#[test]
fn sums_and_products_with_the_block_are_shifted_where_they_are_addresses() {
    let thread = "mov.u32 %a0, %tid.x;";
    let block = "mov.u32 %a1, %ctaid.x;";
    let table: [(&[&str], &[u32]); 15] = [
        (
            &[
                thread,
                block,
                "add.u32 %a2, %a0, %a1;",
                "cvt.u64.u32 %w9, %a2;",
            ],
            &[4, 5, 6],
        ),
        (
            &[
                thread,
                block,
                "sub.u32 %a2, %a0, %a1;",
                "cvt.s64.s32 %w9, %a2;",
            ],
            &[4, 5, 6],
        ),
        (
            &[
                thread,
                block,
                "mul.lo.u32 %a2, 12, %a1;",
                "mad.wide.u32 %w9, %a2, 4, 77;",
            ],
            &[4, 5, 6],
        ),
        (
            &[
                block,
                "mov.u32 %a3, %ntid.x;",
                "mad.lo.s32 %a2, %a1, %a3, 5;",
                "mul.wide.s32 %w9, %a2, 4;",
            ],
            &[3, 5, 6],
        ),
        (
            &[block, "shl.b32 %a2, %a1, 4;", "mul.wide.u32 %w9, %a2, 4;"],
            &[3, 4, 5],
        ),
        (&["mad.wide.u32 %w9, %ctaid.y, 8, 64;"], &[3]),
        (
            &[block, "cvt.u64.u32 %w0, %a1;", "shl.b64 %w9, %w0, 40;"],
            &[3, 4, 5],
        ),
        // No sum, or none of all lanes.
        (
            &[block, "xor.b32 %a2, %a1, 1;", "cvt.u64.u32 %w9, %a2;"],
            &[],
        ),
        (
            &[block, "mul.lo.u32 %a2, %a1, %a1;", "cvt.u64.u32 %w9, %a2;"],
            &[],
        ),
        (
            &[
                thread,
                block,
                "mul.lo.u32 %a2, %a0, %a1;",
                "cvt.u64.u32 %w9, %a2;",
            ],
            &[],
        ),
        (
            &[
                thread,
                block,
                "shl.b32 %a2, %a1, %a0;",
                "cvt.u64.u32 %w9, %a2;",
            ],
            &[],
        ),
        // It is cut.
        (&[block, "cvt.u64.u16 %w9, %a1;"], &[]),
        // Another writes it, or not all lanes do.
        (
            &[
                block,
                "add.u32 %a2, %a1, 1;",
                "add.u32 %a2, %a2, 1;",
                "cvt.u64.u32 %w9, %a2;",
            ],
            &[],
        ),
        (
            &[
                block,
                "setp.lt.u32 %p1, %a1, 2;",
                "@%p1 cvt.u64.u32 %w9, %a1;",
            ],
            &[],
        ),
        // No address comes of it.
        (&[block, "add.u32 %a2, %a1, 1;", "mov.u64 %w9, 5;"], &[]),
    ];
    for (body, expected) in table {
        assert_eq!(shifted(body), expected, "{body:?}");
    }
}

/// What a random operation does: its text, with results in turn, and what it gives.
#[derive(Debug, Clone)]
enum Operation {
    Add,
    Subtract,
    Multiply(u32),
    MultiplyAdd(u32),
    Shift(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    let numbers = prop_oneof![0..9u32, any::<u32>()];
    prop_oneof![
        Just(Operation::Add),
        Just(Operation::Subtract),
        numbers.clone().prop_map(Operation::Multiply),
        numbers.prop_map(Operation::MultiplyAdd),
        (0..40u32).prop_map(Operation::Shift),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    operations: Vec<(Operation, usize, usize)>,
    signed: bool,
    factor: u32,
    blocks: [u32; 2],
    threads: u32,
}

fn case() -> impl Strategy<Value = Case> {
    let operations = prop::collection::vec((operation(), 0..9usize, 0..9usize), 1..6);
    let factor = prop_oneof![Just(1), Just(4), any::<u32>()];
    (
        operations,
        any::<bool>(),
        factor,
        [1..40u32, 1..4u32],
        1..100u32,
    )
        .prop_map(|(operations, signed, factor, blocks, threads)| Case {
            operations,
            signed,
            factor,
            blocks,
            threads,
        })
}

impl Case {
    /// Values to begin with are the block, the thread, and numbers near where 32 bits end.
    fn body(&self) -> Vec<String> {
        let mut body = vec![
            "mov.u32 %a0, %ctaid.x;".to_owned(),
            "mov.u32 %a1, %ctaid.y;".to_owned(),
            "mov.u32 %a2, %tid.x;".to_owned(),
            "mul.lo.u32 %a3, %a0, 0x7fffff0;".to_owned(),
        ];
        for (index, (operation, a, b)) in self.operations.iter().enumerate() {
            let (to, a, b) = (index + 4, a % (index + 4), b % (index + 4));
            body.push(match operation {
                Operation::Add => format!("add.s32 %a{to}, %a{a}, %a{b};"),
                Operation::Subtract => format!("sub.u32 %a{to}, %a{a}, %a{b};"),
                Operation::Multiply(n) => format!("mul.lo.s32 %a{to}, %a{a}, {n};"),
                Operation::MultiplyAdd(n) => format!("mad.lo.u32 %a{to}, {n}, %a{a}, %a{b};"),
                Operation::Shift(n) => format!("shl.b32 %a{to}, %a{a}, {n};"),
            });
        }
        let last = self.operations.len() + 3;
        let ty = if self.signed { "s32" } else { "u32" };
        body.push(format!("mul.wide.{ty} %w0, %a{last}, {};", self.factor));
        body.push("add.u64 %w9, %w0, 5;".to_owned());
        body
    }

    fn expected(&self, block: [u32; 2], thread: u32) -> u64 {
        let mut values = vec![
            block[0],
            block[1],
            thread,
            block[0].wrapping_mul(0x7ff_fff0),
        ];
        for (index, (operation, a, b)) in self.operations.iter().enumerate() {
            let (a, b) = (values[a % (index + 4)], values[b % (index + 4)]);
            values.push(match operation {
                Operation::Add => a.wrapping_add(b),
                Operation::Subtract => a.wrapping_sub(b),
                Operation::Multiply(n) => a.wrapping_mul(*n),
                Operation::MultiplyAdd(n) => a.wrapping_mul(*n).wrapping_add(b),
                Operation::Shift(n) => a.checked_shl(*n).unwrap_or(0),
            });
        }
        let last = values[values.len() - 1];
        let product = match self.signed {
            true => i64::from(last as i32).wrapping_mul(i64::from(self.factor as i32)) as u64,
            false => u64::from(last).wrapping_mul(u64::from(self.factor)),
        };
        product.wrapping_add(5)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Blocks in which a number wraps around lie among those in which none does.
    #[test]
    fn each_block_has_its_own(case in case(), hosts in 1..3usize) {
        let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
        let program = load(&case.body(), &mut memory);
        let count = case.blocks[0] * case.threads;
        let to = memory.alloc(8 * u64::from(count)).expect("room");
        for y in 0..case.blocks[1] {
            let mut parameters = to.to_le_bytes().to_vec();
            parameters.extend(0u32.to_le_bytes());
            // All rows of blocks store to the same place: the last one is what stays.
            let launch = Launch {
                kernel: "k",
                blocks: [case.blocks[0], y + 1, 1],
                threads: [case.threads, 1, 1],
                shared: 0,
                parameters: &parameters,
            };
            let hosts = if y == 0 { hosts } else { 1 };
            Executor::new(hosts, u64::MAX)
                .launch(&program, &memory.view(), &launch)
                .expect("runs");
            let mut bytes = vec![0; 8 * count as usize];
            memory.read(to, &mut bytes).expect("there");
            for (index, value) in (0..).zip(bytes.chunks_exact(8)) {
                let expected = case.expected([index / case.threads, y], index % case.threads);
                prop_assert_eq!(value, &expected.to_le_bytes()[..], "{:?}: {}", [index / case.threads, y], index);
            }
        }
    }
}

/// Rows that a block had for itself are those of the launch again in the next one, and an access goes where they say.
#[test]
fn accesses_go_where_a_block_says() {
    let text = ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 to, .param .u32 step) {
        .reg .b32 %a<5>; .reg .b64 %w<5>;
        mov.u32 %a0, %ctaid.x; ld.param.u32 %a1, [step]; mov.u32 %a2, %tid.x; mad.lo.u32 %a3, %a0, %a1, %a2;
        ld.param.u64 %w0, [to]; cvt.s64.s32 %w1, %a3; shl.b64 %w2, %w1, 2; add.s64 %w3, %w0, %w2;
        add.u32 %a4, %a3, 7; st.global.u32 [%w3+-16], %a4; ret; }";
    let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
    let program = vgpu_ptx::parse(text).expect("a module");
    let program = Arc::new(Program::load(&program, &mut memory).expect("loads"));
    // Of the blocks, every other one is negative: its sum of 32 bits wraps around as an unsigned number, not as a signed one.
    let to = memory.alloc(4 * 4096).expect("room");
    for (step, blocks) in [(64, 9), (0u32.wrapping_sub(64), 9), (1, 3)] {
        memory.fill(to, &[0], 4 * 4096).expect("there");
        let mut parameters = (to + 4 * 2048).to_le_bytes().to_vec();
        parameters.extend(step.to_le_bytes());
        let launch = Launch {
            kernel: "k",
            blocks: [blocks, 1, 1],
            threads: [48, 1, 1],
            shared: 0,
            parameters: &parameters,
        };
        Executor::new(1, u64::MAX)
            .launch(&program, &memory.view(), &launch)
            .expect("runs");
        for block in 0..blocks {
            for thread in 0..48 {
                let number = block.wrapping_mul(step).wrapping_add(thread);
                let place = to + 4 * 2048 - 16;
                let place = place.wrapping_add_signed(4 * i64::from(number as i32));
                let mut word = [0; 4];
                memory.read(place, &mut word).expect("there");
                assert_eq!(
                    u32::from_le_bytes(word),
                    number.wrapping_add(7),
                    "{step}: {block}, {thread}"
                );
            }
        }
    }
}
