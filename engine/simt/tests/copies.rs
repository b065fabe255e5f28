//! Asynchronous copies, and matrices out of shared memory.

mod common;

use common::{Device, Random};
use vgpu_device_memory::Memory;
use vgpu_simt::{Cause, LaunchError, Program};

const HEAD: &str = ".version 8.7\n.target sm_90\n.address_size 64\n";

/// What is in 64 bytes of shared memory, all of them 0xee before, behind `body`.
fn copied(body: &str, from: &[u8]) -> Result<Vec<u8>, Cause> {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 in, .param .u64 out) {{
        .shared .align 16 .b8 s[64]; .reg .b64 %in, %out, %a, %p<3>; .reg .b32 %n, %x<16>; .reg .pred %q;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u64 %a, s; mov.u32 %n, 0xeeeeeeee;
        st.shared.v4.u32 [s], {{%n, %n, %n, %n}}; st.shared.v4.u32 [s+16], {{%n, %n, %n, %n}};
        st.shared.v4.u32 [s+32], {{%n, %n, %n, %n}}; st.shared.v4.u32 [s+48], {{%n, %n, %n, %n}};
        {body}
        ld.shared.v4.u32 {{%x0, %x1, %x2, %x3}}, [s]; st.global.v4.u32 [%out], {{%x0, %x1, %x2, %x3}};
        ld.shared.v4.u32 {{%x0, %x1, %x2, %x3}}, [s+16]; st.global.v4.u32 [%out+16], {{%x0, %x1, %x2, %x3}};
        ld.shared.v4.u32 {{%x0, %x1, %x2, %x3}}, [s+32]; st.global.v4.u32 [%out+32], {{%x0, %x1, %x2, %x3}};
        ld.shared.v4.u32 {{%x0, %x1, %x2, %x3}}, [s+48]; st.global.v4.u32 [%out+48], {{%x0, %x1, %x2, %x3}};
        ret; }}"
    );
    let mut device = Device::new(&text);
    let input = device.buffer(from);
    let output = device.buffer(&[0; 64]);
    let parameters = [input.to_le_bytes(), output.to_le_bytes()].concat();
    match device.launch("k", 1, 1, &parameters) {
        Ok(_) => Ok(device.bytes(output, 64)),
        Err(LaunchError::Fault(fault)) => Err(fault.cause),
        Err(other) => panic!("{body}: {other}"),
    }
}

/// 64 bytes with `length` of `from` and then zeros, `size` together, at `at`.
fn expected(from: &[u8], at: usize, size: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; 64];
    bytes[at..at + size].fill(0);
    bytes[at..at + length].copy_from_slice(&from[..length]);
    bytes
}

#[test]
fn each_size_with_what_there_is_of_it() {
    let from: Vec<u8> = (1..=64).collect();
    for (cache, size) in [("ca", 4), ("ca", 8), ("ca", 16), ("cg", 16)] {
        for space in ["shared", "shared::cta"] {
            for hint in ["", ".L2::64B", ".L2::128B", ".L2::256B"] {
                let form = format!("cp.async.{cache}.{space}.global{hint}");
                let body = format!("{form} [%a+32], [%in+16], {size};");
                assert_eq!(
                    copied(&body, &from),
                    Ok(expected(&from[16..], 32, size, size)),
                    "{body}"
                );
                for there in 0..=size + 1 {
                    let length = there.min(size);
                    let wanted = Ok(expected(&from[16..], 16, size, length));
                    let number = format!("{form} [s+16], [%in+16], {size}, {there};");
                    let register =
                        format!("mov.u32 %n, {there}; {form} [s+16], [%in+16], {size}, %n;");
                    assert_eq!(copied(&number, &from), wanted, "{number}");
                    assert_eq!(copied(&register, &from), wanted, "{register}");
                }
                for ignored in [0, 1] {
                    let length = size * (1 - ignored);
                    let wanted = Ok(expected(&from, 0, size, length));
                    let set = format!("setp.eq.u32 %q, {ignored}, 1;");
                    let body = format!("{set} {form} [%a], [%in], {size}, %q;");
                    assert_eq!(copied(&body, &from), wanted, "{body}");
                    let hinted = form.replace(".global", ".global.L2::cache_hint");
                    let policy =
                        "createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %p0, 0.25;";
                    let body = format!("{set} {policy} {hinted} [%a], [%in], {size}, %q, %p0;");
                    assert_eq!(copied(&body, &from), wanted, "{body}");
                    let body = format!("{policy} {hinted} [%a], [%in], {size}, {length}, %p0;");
                    assert_eq!(copied(&body, &from), wanted, "{body}");
                }
                let hinted = form.replace(".global", ".global.L2::cache_hint");
                let body = format!(
                    "createpolicy.fractional.L2::evict_first.b64 %p0; {hinted} [%a], [%in], {size}, %p0;"
                );
                assert_eq!(
                    copied(&body, &from),
                    Ok(expected(&from, 0, size, size)),
                    "{body}"
                );
            }
        }
    }
}

/// What a group waits for is there.
#[test]
fn groups() {
    let from: Vec<u8> = (1..=64).collect();
    let body = "cp.async.ca.shared.global [%a], [%in], 16; cp.async.commit_group;
        cp.async.cg.shared.global [%a+16], [%in+16], 16; cp.async.commit_group;
        cp.async.wait_group 1; cp.async.wait_group 0;
        cp.async.cg.shared.global [%a+32], [%in+32], 16; cp.async.cg.shared.global [%a+48], [%in+48], 16;
        cp.async.wait_all;";
    assert_eq!(copied(body, &from), Ok(from.clone()));
}

#[test]
fn what_is_wrong_with_a_copy() {
    let from: Vec<u8> = (1..=24).collect();
    let form = "cp.async.ca.shared.global";
    let global = |body: &str| matches!(copied(body, &from), Err(Cause::Global(_)));
    let shared = |body: &str| matches!(copied(body, &from), Err(Cause::Shared { .. }));
    assert!(global(&format!("{form} [%a], [%in+16], 16;")));
    assert!(global(&format!("{form} [%a], [%in+16], 16, 9;")));
    assert!(global(&format!("{form} [%a], [%in+8], 16;")));
    assert!(global(&format!("{form} [%a], [%in+8], 16, 1;")));
    assert!(global(&format!("{form} [%a], [%a], 4;")));
    assert!(shared(&format!("{form} [%a+64], [%in], 4;")));
    assert!(shared(&format!("{form} [%a+60], [%in], 8, 0;")));
    assert!(shared(&format!("{form} [%a+4], [%in], 8;")));
    // Where nothing is read, it may be anywhere.
    let zeros = Ok(expected(&from, 0, 16, 0));
    assert_eq!(copied(&format!("{form} [%a], [1], 16, 0;"), &from), zeros);
    let ignored = format!("setp.eq.u32 %q, 0, 0; {form} [%a], [1], 16, %q;");
    assert_eq!(copied(&ignored, &from), zeros);
    // A part of it may end where the memory does.
    let part = copied(&format!("{form} [%a], [%in+16], 16, 8;"), &from);
    assert_eq!(part, Ok(expected(&from[16..], 0, 16, 8)));
}

/// What is no copy of the ISA's is not loaded.
#[test]
fn sizes_are_those_of_the_isa() {
    let taken = |instruction: &str| {
        let text = format!(
            "{HEAD}.visible .entry k() {{ .shared .align 16 .b8 s[16]; .reg .b64 %a; .reg .b32 %n, %x<4>;
            mov.u64 %a, 0; mov.u32 %n, 0; {instruction} ret; }}"
        );
        let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 20);
        let module = vgpu_ptx::parse(&text).expect("a module");
        Program::load(&module, &mut memory).is_ok()
    };
    assert!(taken("cp.async.ca.shared.global [s], [%a], 0x10;"));
    for instruction in [
        "cp.async.ca.shared.global [s], [%a], 5;",
        "cp.async.ca.shared.global [s], [%a], 32;",
        "cp.async.ca.shared.global [s], [%a], 4294967300;",
        "cp.async.ca.shared.global [s], [%a], %n;",
        "cp.async.cg.shared.global [s], [%a], 8;",
        "cp.async.ca.shared.global [s], [s], 4;",
        "cp.async.ca.shared.global.L2::cache_hint [s], [%a], 4;",
        "cp.async.wait_group %n;",
        "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%x0}, [s];",
        "ldmatrix.sync.aligned.m8n8.x8.shared.b16 {%x0}, [s];",
    ] {
        assert!(!taken(instruction), "{instruction}");
    }
}

/// Where each lane finds its rows: one row of eight halves for each, in an order of its own.
fn matrices(form: &str, count: usize, address: &str, threads: u32) -> Result<Vec<u32>, Cause> {
    let registers: Vec<_> = (0..count).map(|i| format!("%x{i}")).collect();
    let stores: String = (0..count)
        .map(|i| format!("st.global.u32 [%out+{}], %x{i};\n", i * 4))
        .collect();
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 in, .param .u64 out) {{
        .shared .align 16 .b8 s[512]; .reg .b64 %in, %out, %a, %g; .reg .b32 %t, %o, %x<4>;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u32 %t, %tid.x; mov.u64 %a, s;
        mul.wide.u32 %g, %t, 16; add.u64 %in, %in, %g; add.u64 %a, %a, %g;
        ld.global.v4.u32 {{%x0, %x1, %x2, %x3}}, [%in]; st.shared.v4.u32 [%a], {{%x0, %x1, %x2, %x3}};
        bar.sync 0;
        mul.lo.u32 %o, %t, 5; and.b32 %o, %o, 31; mul.wide.u32 %g, %o, 16; mov.u64 %a, s; add.u64 %a, %a, %g;
        {address}
        {form} {{{}}}, [%a];
        mul.wide.u32 %g, %t, {}; add.u64 %out, %out, %g; {stores} ret; }}",
        registers.join(", "),
        count * 4
    );
    let mut random = Random(7);
    let words: Vec<u8> = (0..512).map(|_| random.bits() as u8).collect();
    let mut device = Device::new(&text);
    let input = device.buffer(&words);
    let output = device.buffer(&[0; 512]);
    let parameters = [input.to_le_bytes(), output.to_le_bytes()].concat();
    match device.launch("k", 1, threads, &parameters) {
        Ok(_) => {
            let half = |row: usize, column: usize| {
                let at = row * 5 % 32 * 16 + column * 2;
                u32::from(words[at]) | u32::from(words[at + 1]) << 8
            };
            let got = device.words(output, 32 * count);
            for lane in 0..32 {
                for matrix in 0..count {
                    // Source: the figure of fragments in PTX ISA 9.7.14.5.15.
                    let (line, pair) = (lane / 4, lane % 4);
                    let wanted = match form.contains("trans") {
                        false => [(line, 2 * pair), (line, 2 * pair + 1)],
                        true => [(2 * pair, line), (2 * pair + 1, line)],
                    };
                    let [low, high] = wanted.map(|(row, column)| half(matrix * 8 + row, column));
                    assert_eq!(
                        got[lane * count + matrix],
                        low | high << 16,
                        "{form}, lane {lane}"
                    );
                }
            }
            Ok(got)
        }
        Err(LaunchError::Fault(fault)) => Err(fault.cause),
        Err(other) => panic!("{form}: {other}"),
    }
}

#[test]
fn matrices_of_shared_memory() {
    for count in [1, 2, 4] {
        for trans in ["", ".trans"] {
            for (space, address) in [
                (".shared", ""),
                (".shared::cta", ""),
                ("", "cvta.shared.u64 %a, %a;"),
            ] {
                let form = format!("ldmatrix.sync.aligned.m8n8.x{count}{trans}{space}.b16");
                matrices(&form, count, address, 32).expect("runs");
            }
        }
    }
    // Lanes that come later are waited for.
    let late = "setp.lt.u32 %p, %t, 7; @%p bra HERE; mov.u32 %o, 0;
        AGAIN: add.u32 %o, %o, 1; setp.lt.u32 %p, %o, 3000; @%p bra AGAIN; HERE:";
    let late = format!(".reg .pred %p; {late}");
    matrices("ldmatrix.sync.aligned.m8n8.x4.shared.b16", 4, &late, 32).expect("runs");
}

#[test]
fn rows_lie_in_shared_memory_at_multiples_of_their_size() {
    let form = "ldmatrix.sync.aligned.m8n8.x4.shared.b16";
    for address in ["add.u64 %a, %a, 8;", "add.u64 %a, %a, 512;"] {
        let got = matrices(form, 4, address, 32);
        assert!(
            matches!(got, Err(Cause::Shared { size: 16, .. })),
            "{got:?}"
        );
    }
    let generic = "ldmatrix.sync.aligned.m8n8.x4.b16";
    let got = matrices(generic, 4, "mov.u64 %a, %in;", 32);
    assert!(
        matches!(got, Err(Cause::Shared { size: 16, .. })),
        "{got:?}"
    );
    // Of one matrix only the first eight lanes' addresses count.
    let one = "ldmatrix.sync.aligned.m8n8.x1.shared.b16";
    let others = ".reg .pred %p; setp.ge.u32 %p, %t, 8; @%p mov.u64 %a, 3;";
    matrices(one, 1, others, 32).expect("runs");
}
