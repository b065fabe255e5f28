//! BARs that a guest puts over each other.

use super::fake::{Fake, config, memory, place};

const HOME: u64 = 0xf100_0000;
const AWAY: u64 = 0xf200_0000;

fn survived_and_mended(first: u8, second: u8) {
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
    let fake = Fake::new(vec![requests]);
    assert!(!fake.serve() && fake.is_done());
    let world = fake.world();
    let got: Vec<u64> = world.answers[0]
        .iter()
        .flatten()
        .map(|value| value & 0xffff_ffff)
        .collect();
    assert_eq!(got, [0x18, 0, 0x19, 0x18, 0xffff_ffff]);
    assert_eq!(world.ranges, [(AWAY, AWAY + 0xfff)]);
}

#[test]
fn an_overlap_is_survived_and_mended() {
    survived_and_mended(0x18, 0x19);
    survived_and_mended(0x19, 0x18);
}
