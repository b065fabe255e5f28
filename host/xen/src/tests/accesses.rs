//! What requests get for an answer.

use proptest::prelude::*;
use xen_dm::ioreq::{Kind, Request};

use super::vcpus::{Fake, config, memory, place, request};

const HOME: u64 = 0xf100_0000;

/// What one vCPU gets for these requests.
fn answers(requests: Vec<Request>) -> Vec<Option<u64>> {
    let fake = Fake::new(vec![requests]);
    assert!(!fake.serve());
    assert!(fake.is_done());
    fake.answers().swap_remove(0)
}

/// The same after BAR0 is placed.
fn placed(requests: impl IntoIterator<Item = Request>) -> Vec<Option<u64>> {
    let mut all = place(0x18, HOME).to_vec();
    all.extend(requests);
    answers(all).split_off(3)
}

#[test]
fn config_space_is_the_function_s() {
    let got = answers(vec![
        config(0x18, 0x00, 4, None),
        config(0x19, 0x0a, 2, None),
        config(0x18, 0x0b, 1, None),
        // Other slots, functions and buses are nobody's.
        config(0x17, 0x00, 4, None),
        request(Kind::PciConfig, (0xc1 << 32) | 2, 2, None),
        request(Kind::PciConfig, 0x01c0 << 32, 1, None),
        config(0x18, 0x10, 4, Some(0xffff_ffff)),
        config(0x18, 0x10, 4, None),
    ]);
    let ones = u64::MAX;
    let expected = [
        Some(0x1111_1af4),
        Some(0x1200),
        Some(0x12),
        Some(0xffff_ffff & ones),
        Some(0xffff),
        Some(0xff),
        None,
        Some(0xffff_f000),
    ];
    // Above the access's own bytes nobody looks.
    let low = |value: Option<u64>, size: u32| value.map(|v| v & (ones >> (64 - 8 * size)));
    let sizes = [4, 2, 1, 4, 2, 1, 4, 4];
    for ((got, expected), size) in got.into_iter().zip(expected).zip(sizes) {
        assert_eq!(low(got, size), expected);
    }
}

#[test]
fn bar0_answers_where_it_is_placed() {
    let far = 0xf200_0000;
    let mut requests = vec![
        memory(HOME + 0x10, 4, Some(0x1234_5678)),
        memory(HOME + 0x10, 4, None),
        memory(HOME + 0x20, 8, Some(0x1122_3344_5566_7788)),
        memory(HOME + 0x20, 2, None),
        // Refused by the model; then outside of it.
        memory(HOME + 0x11, 4, None),
        memory(HOME + 0x1000, 4, None),
    ];
    requests.extend(place(0x18, far));
    requests.extend([memory(HOME + 0x10, 4, None), memory(far + 0x10, 4, None)]);
    let got = placed(requests);
    let low = |at: usize, size: u32| got[at].unwrap() & (u64::MAX >> (64 - 8 * size));
    assert_eq!(low(1, 4), 0x1234_5678);
    assert_eq!(low(3, 2), 0x7788);
    assert_eq!(low(4, 4), 0);
    assert_eq!(low(5, 4), 0xffff_ffff);
    assert_eq!(low(9, 4), 0xffff_ffff);
    assert_eq!(low(10, 4), 0x1234_5678);
}

#[test]
fn requests_of_other_kinds_are_completed() {
    let fake = Fake::new(vec![vec![
        request(Kind::Invalidate, 0, 4, Some(0)),
        request(Kind::Invalidate, 0, 4, None),
        request(Kind::Port, 0xcf8, 4, None),
        request(Kind::Port, 0xcf8, 4, Some(1)),
        request(Kind::TimeOffset, 0, 8, Some(1)),
        request(Kind::Other(0xff), 0, 4, None),
        memory(HOME, 3, None),
        memory(HOME, 0, None),
        memory(HOME, u32::MAX, Some(1)),
        config(0x18, 0, 16, None),
    ]]);
    assert!(!fake.serve() && fake.is_done());
    let ones = Some(u64::MAX);
    let expected = [None, None, ones, None, None, ones, ones, ones, None, ones];
    assert_eq!(fake.answers()[0], expected);
}

/// A string instruction: the guest's memory is the other side.
fn repeated(address: u64, data: u64, count: u32, size: u32, read: bool) -> Request {
    Request {
        data,
        count,
        data_is_pointer: true,
        read,
        ..memory(address, size, None)
    }
}

#[test]
fn repeated_accesses_copy_guest_memory() {
    // Across a page's end, which the real hypervisor has to cut.
    const BUFFER: u64 = 0x7ffa;
    let mut requests = place(0x18, HOME).to_vec();
    requests.extend([
        repeated(HOME + 0x20, BUFFER, 4, 4, false),
        memory(HOME + 0x20, 8, None),
        memory(HOME + 0x28, 8, None),
        // Backwards: the last element first, into a second buffer.
        Request {
            backwards: true,
            ..repeated(HOME + 0x2c, 0x9000 + 12, 4, 4, true)
        },
        // No memory there: the device gets ones, the guest loses bytes.
        repeated(HOME + 0x30, 0xffff_0000, 1, 4, false),
        repeated(HOME + 0x20, 0xffff_0000, 2, 4, true),
        memory(HOME + 0x30, 4, None),
        // Neither nothing nor too much makes it wait.
        repeated(HOME + 0x40, BUFFER, 0, 4, false),
        repeated(HOME + 0x40, BUFFER, u32::MAX, 1, false),
        memory(HOME + 0x40, 4, None),
        // A register that takes the same value again and again.
        Request {
            count: 3,
            ..memory(HOME + 0x60, 4, Some(7))
        },
        memory(HOME + 0x68, 4, None),
    ]);
    let fake = Fake::new(vec![requests]);
    let add = |address, bytes| fake.world().domain.memory().add(address, bytes);
    add(BUFFER, (0..16).collect());
    add(0x9000, vec![0xee; 16]);
    assert!(!fake.serve() && fake.is_done());
    let got = &fake.answers()[0][3..];
    assert_eq!(got[1], Some(0x0706_0504_0302_0100));
    assert_eq!(got[2], Some(0x0f0e_0d0c_0b0a_0908));
    // What was read is in memory; the request's own data stays an address.
    assert_eq!((got[3], got[5]), (None, None));
    let mut world = fake.world();
    let copied = world.domain.memory().bytes(0x9000, 16).unwrap();
    assert_eq!(copied, (0..16).collect::<Vec<u8>>());
    let low = |value: Option<u64>| value.unwrap() & 0xffff_ffff;
    assert_eq!(low(got[6]), 0xffff_ffff);
    assert_eq!(low(got[9]), 0);
    assert_eq!(low(got[11]), 7);
}

fn any_request() -> impl Strategy<Value = Request> {
    let kind = prop_oneof![
        3 => Just(Kind::Memory),
        3 => Just(Kind::PciConfig),
        1 => any::<u8>().prop_map(Kind::from),
    ];
    let address = prop_oneof![
        4 => (0u64..0x1000).prop_map(|offset| HOME + offset),
        4 => (0u64..0x100).prop_map(|register| (0x18 << 35) | register),
        1 => any::<u64>(),
    ];
    let size = prop_oneof![9 => (0u32..4).prop_map(|log| 1 << log), 1 => any::<u32>()];
    let count = prop_oneof![8 => Just(1), 1 => 0u32..20, 1 => any::<u32>()];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let data = any::<u64>();
    (kind, address, size, count, flags, data).prop_map(
        |(kind, address, size, count, flags, data)| Request {
            kind,
            address,
            data,
            count,
            size,
            read: flags.0,
            backwards: flags.1,
            data_is_pointer: flags.2,
        },
    )
}

proptest! {
    /// Whatever vCPUs ask for, each request is completed, once, and all of
    /// them go on; a page that makes no sense too.
    #[test]
    fn every_request_is_completed(
        script in prop::collection::vec(prop::collection::vec(any_request(), 0..20), 1..5),
    ) {
        let counts: Vec<_> = script.iter().map(Vec::len).collect();
        let fake = Fake::new(script);
        prop_assert!(!fake.serve());
        prop_assert!(fake.is_done());
        let answered: Vec<_> = fake.answers().iter().map(Vec::len).collect();
        prop_assert_eq!(answered, counts);
    }
}
