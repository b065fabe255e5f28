//! BARs that a guest puts over each other.

use xen_dm::ioreq::Request;

use super::vcpus::{Fake, config, memory, place};
use crate::fake::devices::LARGE;

const HOME: u64 = 0xf100_0000;
const AWAY: u64 = 0xf200_0000;

/// A guest's requests, answered by a server that dies after so many steps, and by another after it; and whether it died.
fn answered(requests: Vec<Request>, steps: usize) -> (Fake, bool) {
    let fake = Fake::new(vec![requests]);
    fake.kill_after(steps);
    let killed = fake.serve();
    assert!(!killed || !fake.serve());
    assert!(fake.is_done());
    (fake, killed)
}

/// What the guest has read.
fn read(fake: &Fake) -> Vec<u64> {
    let answers = fake.answers();
    let values = answers[0].iter().flatten();
    values.map(|value| value & 0xffff_ffff).collect()
}

/// Kills a server at each step, until there is none left to kill it at.
fn at_each_step(killed_after: impl Fn(usize) -> bool) {
    let steps = (0..).take_while(|&steps| killed_after(steps)).count();
    assert!(steps > 100, "{steps}");
}

/// Puts BAR0 of the second device over that of the first, and then the first
/// elsewhere. The server dies after so many steps; returns whether it did.
fn survived_and_mended(first: u8, second: u8, steps: usize) -> bool {
    let mut requests = Vec::new();
    requests.extend(place(first, HOME));
    requests.extend([memory(HOME + 0x10, 4, Some(0x18))]);
    // The second one over the first: Xen refuses, the first one answers on.
    requests.extend(place(second, HOME));
    requests.extend([memory(HOME + 0x10, 4, None)]);
    // The first one goes away, and the second one is there.
    requests.extend(place(first, AWAY));
    requests.extend([
        memory(HOME + 0x10, 4, None),
        memory(HOME + 0x10, 4, Some(0x19)),
        memory(HOME + 0x10, 4, None),
        memory(AWAY + 0x10, 4, None),
        config(second, 0x04, 2, Some(0)),
        memory(HOME + 0x10, 4, None),
    ]);
    let (fake, killed) = answered(requests, steps);
    let got = read(&fake);
    let what = format!("{first:#x} under {second:#x}, killed after {steps}");
    // Whoever takes over from a killed one may let the other one answer.
    assert!(got[0] == 0x18 || killed && got[0] == 0, "{what}");
    assert_eq!(got[1..], [0, 0x19, 0x18, 0xffff_ffff], "{what}");
    assert_eq!(fake.ranges(), [(AWAY, AWAY + 0xfff)], "{what}");
    killed
}

#[test]
fn an_overlap_is_survived_and_mended() {
    for (first, second) in [(0x18, 0x19), (0x19, 0x18)] {
        at_each_step(|steps| survived_and_mended(first, second, steps));
    }
}

/// Puts a small BAR0 into a large one's place, before or after the large one comes, and takes it away and both from the bus.
/// The server dies after so many steps; returns whether it did.
fn nothing_is_left(first: u8, second: u8, steps: usize) -> bool {
    let base = |slot| if slot == LARGE { HOME } else { HOME + 0x2000 };
    let mut requests = Vec::new();
    requests.extend(place(first, base(first)));
    requests.extend(place(second, base(second)));
    requests.extend(place(0x18, AWAY));
    requests.push(memory(HOME + 0x10, 4, Some(0x1a)));
    requests.push(memory(HOME + 0x10, 4, None));
    for slot in [first, second] {
        requests.push(config(slot, 0x04, 2, Some(0)));
    }
    let (fake, killed) = answered(requests, steps);
    let what = format!("{first:#x}, then {second:#x}, killed after {steps}");
    assert_eq!(read(&fake).last(), Some(&0x1a), "{what}");
    assert_eq!(fake.ranges(), [], "{what}");
    killed
}

#[test]
fn a_small_one_in_a_large_one_is_survived() {
    for (first, second) in [(0x18, LARGE), (LARGE, 0x18)] {
        at_each_step(|steps| nothing_is_left(first, second, steps));
    }
}
