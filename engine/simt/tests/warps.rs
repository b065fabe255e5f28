//! What the lanes of a warp, and the threads of a block, do together: each form.

mod common;

use common::Device;

const HEAD: &str = ".version 8.7\n.target sm_90\n.address_size 64\n";

/// The word that each thread has in `%d` after `body`, which may use `%x`, its
/// number times 5 modulo 7, and the predicate `%p`: whether that is below 3.
fn run(body: &str, threads: u32) -> Vec<u32> {
    let text = format!(
        "{HEAD}.visible .entry k(.param .u64 to) {{
        .reg .b64 %to; .reg .b32 %t, %x, %d; .reg .pred %p, %q;
        ld.param.u64 %to, [to]; mov.u32 %t, %tid.x; mad.wide.u32 %to, %t, 4, %to;
        mul.lo.u32 %x, %t, 5; rem.u32 %x, %x, 7; setp.lt.u32 %p, %x, 3; mov.u32 %d, 0;
        {body}
        st.global.u32 [%to], %d; ret; }}"
    );
    let mut device = Device::new(&text);
    let to = device.buffer(&vec![0; threads as usize * 4]);
    device
        .launch("k", 1, threads, &to.to_le_bytes())
        .unwrap_or_else(|error| panic!("{body}: {error}"));
    device.words(to, threads as usize)
}

fn x(thread: u32) -> u32 {
    thread * 5 % 7
}

#[test]
fn reductions_of_a_warp() {
    type Joined = fn(u32, u32) -> u32;
    let table: [(&str, &str, Joined); 9] = [
        ("add.u32", "", |a, b| a.wrapping_add(b)),
        ("add.s32", "neg.s32 %x, %x;", |a, b| a.wrapping_add(b)),
        ("min.u32", "", u32::min),
        ("max.u32", "", u32::max),
        ("min.s32", "neg.s32 %x, %x;", |a, b| {
            (a as i32).min(b as i32) as u32
        }),
        ("max.s32", "neg.s32 %x, %x;", |a, b| {
            (a as i32).max(b as i32) as u32
        }),
        ("and.b32", "or.b32 %x, %x, 8;", |a, b| a & b),
        ("or.b32", "", |a, b| a | b),
        ("xor.b32", "", |a, b| a ^ b),
    ];
    for (form, before, f) in table {
        let value = |thread: u32| match before {
            "" => x(thread),
            _ if before.starts_with("neg") => x(thread).wrapping_neg(),
            _ => x(thread) | 8,
        };
        let expected = (0..32).map(value).reduce(f).expect("lanes");
        let body = format!("{before} redux.sync.{form} %d, %x, -1;");
        assert_eq!(run(&body, 32), [expected; 32], "{form}");
    }
}

#[test]
fn votes_and_who_is_there() {
    let holds = |thread: u32| x(thread) < 3;
    let ballot = (0..32)
        .filter(|t| holds(*t))
        .fold(0u32, |all, t| all | 1 << t);
    let table = [
        ("vote.sync.ballot.b32 %d, %p, -1;", ballot),
        ("vote.sync.ballot.b32 %d, !%p, -1;", !ballot),
        ("vote.sync.any.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;", 1),
        ("vote.sync.all.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;", 0),
        ("vote.sync.uni.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;", 0),
        (
            "setp.lt.u32 %p, %x, 9; vote.sync.all.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;",
            1,
        ),
        (
            "setp.ge.u32 %p, %x, 9; vote.sync.uni.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;",
            1,
        ),
        ("activemask.b32 %d;", u32::MAX),
    ];
    for (body, expected) in table {
        assert_eq!(run(body, 32), [expected; 32], "{body}");
    }
    let elected = run(
        "elect.sync %x|%q, -1; selp.u32 %d, 1, 0, %q; mad.lo.u32 %d, %x, 10, %d;",
        32,
    );
    assert_eq!(
        elected.iter().sum::<u32>(),
        1,
        "one, and lane 0 leads: {elected:?}"
    );
    let body = "mov.b64 %to, {%x, %t}; cvt.u64.u32 %to, %x; match.any.sync.b64 %d, %to, -1;
        ld.param.u64 %to, [to]; mad.wide.u32 %to, %t, 4, %to;";
    let same = |t: u32| {
        (0..32)
            .filter(|o| x(*o) == x(t))
            .fold(0u32, |all, o| all | 1 << o)
    };
    assert_eq!(run(body, 32), (0..32).map(same).collect::<Vec<_>>());
}

#[test]
fn shuffles() {
    type Source = fn(u32) -> u32;
    let table: [(&str, Source); 4] = [
        ("up.b32 %d, %t, 3, 0, -1", |t| t.checked_sub(3).unwrap_or(t)),
        (
            "down.b32 %d, %t, 4, 31, -1",
            |t| if t < 28 { t + 4 } else { t },
        ),
        ("bfly.b32 %d, %t, 6, 31, -1", |t| t ^ 6),
        ("idx.b32 %d, %t, %x, 31, -1", x),
    ];
    for (form, source) in table {
        let expected: Vec<u32> = (0..32).map(source).collect();
        assert_eq!(run(&format!("shfl.sync.{form};"), 32), expected, "{form}");
    }
}

/// 96 threads: of each form, with and without the number of threads.
#[test]
fn barriers() {
    let count = (0..96).filter(|t| x(*t) < 3).count() as u32;
    for (name, aligned) in [
        ("bar", ""),
        ("bar.cta", ""),
        ("barrier", ""),
        ("barrier.cta", ".aligned"),
    ] {
        for threads in ["", ", 96"] {
            // Every warp writes what the next one reads.
            let body = format!(
                ".shared .b32 s[96]; .reg .b64 %a; mov.u64 %a, s; mad.wide.u32 %a, %t, 4, %a;
                st.shared.u32 [%a], %x; {name}.sync{aligned} 3{threads};
                add.u32 %d, %t, 32; rem.u32 %d, %d, 96; mov.u64 %a, s; mad.wide.u32 %a, %d, 4, %a;
                ld.shared.u32 %d, [%a];"
            );
            let expected: Vec<u32> = (0..96).map(|t| x((t + 32) % 96)).collect();
            assert_eq!(run(&body, 96), expected, "{name}{threads}");
            let body = format!("{name}.red.popc{aligned}.u32 %d, 1{threads}, %p;");
            assert_eq!(run(&body, 96), [count; 96], "{body}");
            for (operation, expected) in [("and", 0), ("or", 1)] {
                let body = format!(
                    "{name}.red.{operation}{aligned}.pred %q, 2{threads}, %p; selp.u32 %d, 1, 0, %q;"
                );
                assert_eq!(run(&body, 96), [expected; 96], "{body}");
            }
        }
        // Two warps go on; the third waits for them.
        let body = format!(
            "setp.lt.u32 %q, %t, 64; @%q {name}.arrive{aligned} 4, 96; @!%q {name}.sync{aligned} 4, 96; mov.u32 %d, 5;"
        );
        assert_eq!(run(&body, 96), [5; 96], "{name}");
    }
}

/// Each lane goes its own way; one past the list is a fault.
#[test]
fn branches_by_a_number() {
    let body = "list: .branchtargets zero, one, two, three;
        @%p brx.idx %x, list;
        mov.u32 %d, 40; bra end;
        zero: mov.u32 %d, 10; bra end;
        one: mov.u32 %d, 11; bra.uni end;
        two: mov.u32 %d, 12; bra end;
        three: mov.u32 %d, 13;
        end:";
    let way = |t: u32| if x(t) < 3 { 10 + x(t) } else { 40 };
    assert_eq!(run(body, 32), (0..32).map(way).collect::<Vec<_>>());
    let text = format!(
        "{HEAD}.visible .entry k() {{ .reg .b32 %t; mov.u32 %t, %tid.x;
        list: .branchtargets zero, zero;
        brx.idx %t, list;
        zero: ret; }}"
    );
    let mut device = Device::new(&text);
    device.launch("k", 1, 2, &[]).expect("runs");
    let error = device.launch("k", 1, 3, &[]).expect_err("a fault");
    assert!(
        error.to_string().contains("a branch to label 2 of 2"),
        "{error}"
    );
}
