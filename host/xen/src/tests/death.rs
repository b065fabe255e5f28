//! A server that is killed at any step, and a domain that is gone at any step.

use xen_dm::ioreq::Request;

use super::vcpus::{Fake, config, memory, place};

const HOME: u64 = 0xf100_0000;
const AWAY: u64 = 0xf200_0000;
const OTHER: u64 = 0xf300_0000;

/// Two vCPUs, each with a device of its own: registers, moves, resets.
fn script() -> Vec<Vec<Request>> {
    let mut first = place(0x18, HOME).to_vec();
    first.extend([
        memory(HOME + 0x10, 4, Some(1)),
        memory(HOME + 0x10, 4, None),
        memory(HOME + 0x20, 8, Some(0x0123_4567_89ab_cdef)),
    ]);
    // Moved with decode on, as some firmware does.
    first.extend([
        config(0x18, 0x10, 4, Some(AWAY)),
        memory(AWAY + 0x20, 8, None),
        config(0x18, 0x3c, 1, Some(5)),
        config(0x18, 0x3c, 1, None),
        memory(AWAY + 0x10, 4, Some(2)),
        memory(AWAY + 0x10, 4, None),
    ]);
    let mut second = place(0x19, OTHER).to_vec();
    second.extend([
        memory(OTHER + 0x10, 4, Some(3)),
        // A function level reset takes BAR0 away.
        config(0x19, 0x48, 2, Some(0x8000)),
        config(0x19, 0x10, 4, None),
    ]);
    second.extend(place(0x19, OTHER));
    second.extend([
        memory(OTHER + 0x10, 4, None),
        memory(OTHER + 0x10, 4, Some(4)),
        memory(OTHER + 0x10, 4, None),
    ]);
    vec![first, second]
}

fn without_upper(answers: &[Vec<Option<u64>>]) -> Vec<Vec<u64>> {
    let values = |vcpu: &Vec<Option<u64>>| vcpu.iter().flatten().copied().collect();
    answers.iter().map(values).collect()
}

/// What an undisturbed server answers, and leaves in Xen.
fn undisturbed() -> (Vec<Vec<u64>>, Vec<(u64, u64)>) {
    let fake = Fake::new(script());
    assert!(!fake.serve());
    assert!(fake.is_done());
    let refused = fake.world().domain.refused;
    assert_eq!(refused, 0, "Xen had a reason to complain");
    (without_upper(&fake.answers()), fake.ranges())
}

/// Kills a server after `first` steps and, where `second` says so, its
/// successor too; the last one must leave no trace of it. Returns whether
/// any was killed.
fn killed_after(first: usize, second: Option<usize>) -> bool {
    let (expected, ranges) = undisturbed();
    let fake = Fake::new(script());
    fake.kill_after(first);
    let mut killed = fake.serve();
    if let (true, Some(steps)) = (killed, second) {
        fake.kill_after(steps);
        killed = fake.serve();
        assert!(killed || fake.is_done());
    }
    if killed {
        assert!(!fake.serve());
    }
    assert!(fake.is_done(), "a vCPU hangs: {first} {second:?}");
    let answers = without_upper(&fake.answers());
    assert_eq!(answers, expected, "killed after {first}, {second:?}");
    assert_eq!(fake.ranges(), ranges, "killed after {first}, {second:?}");
    killed
}

#[test]
fn killed_at_any_step_it_is_taken_over() {
    let steps = (0..).take_while(|&steps| killed_after(steps, None)).count();
    assert!(steps > 100, "{steps}");
}

#[test]
fn killed_in_the_takeover_it_is_taken_over_again() {
    for first in (0..150).step_by(7) {
        for second in 0..60 {
            killed_after(first, Some(second));
        }
    }
}

/// Whoever takes over leaves BAR0 where it is: a guest that looked there in
/// the meantime would find nothing.
#[test]
fn a_takeover_unmaps_nothing() {
    let fake = Fake::new(script());
    assert!(!fake.serve());
    let before = fake.world().domain.unmapped;
    assert!(!fake.serve());
    let unmapped = fake.world().domain.unmapped;
    assert_eq!((unmapped, fake.ranges().len()), (before, 2));
}

#[test]
fn a_domain_that_is_gone_ends_it() {
    for steps in 0..100 {
        let fake = Fake::new(script());
        fake.end_after(steps);
        assert!(!fake.serve(), "it was not killed");
    }
}
