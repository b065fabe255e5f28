//! What is sent is what arrives: random records, through wraparound and pads.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::{LAYOUT, LONGEST, RING};
use proptest::collection;
use proptest::prelude::*;
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::host::Host;
use vgpu_ring::{HEADER_SIZE, Memory, Next, PushError, Record, Replies, Slice, Wake};
use zerocopy::FromZeros;

/// A new slice with a small arena.
fn memory() -> Vec<AtomicU64> {
    AtomicU64::new_vec_zeroed((LAYOUT.arena + 4096) / 8).unwrap()
}

#[derive(Clone, Copy)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {
        panic!("nobody is parked");
    }
}

/// A record's op, flags, aux, fixed part in words, data.
type Sent = (u16, u8, u32, Vec<u64>, Vec<u8>);

fn records(longest: usize) -> impl Strategy<Value = Vec<Sent>> {
    let data = prop_oneof![
        4 => collection::vec(any::<u8>(), 0..300),
        1 => (0..longest, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    collection::vec(
        (
            1..u16::MAX,
            any::<u8>(),
            any::<u32>(),
            collection::vec(any::<u64>(), 0..20),
            data,
        ),
        1..if cfg!(miri) { 12 } else { 60 },
    )
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn check(sent: &Sent, got: &Record, seq: u32) {
    let (op, flags, aux, fixed, data) = sent;
    let header = got.header();
    assert_eq!((header.op, header.flags), (*op, *flags));
    assert_eq!((header.aux, header.seq), (*aux, seq));
    let mut payload = bytes(fixed);
    payload.extend(data);
    let (body, rest) = got.payload().split_at(payload.len());
    assert_eq!(body, payload);
    assert!(rest.len() < 16 && rest.iter().all(|&byte| byte == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 16 }))]

    #[test]
    fn records_arrive_as_sent(records in records(if cfg!(miri) { 500 } else { 60_000 }), burst in 1usize..9) {
        let memory = memory();
        let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
        let mut commands = Commands::new(slice);
        let mut host = Host::new(slice, Nobody);
        let mut got = Record::boxed();
        let mut taken = 0;
        let mut drain = |commands: &Commands<_>, all: bool| {
            for _ in 0..if all { usize::MAX } else { burst } {
                match host.next(&mut got).unwrap() {
                    Next::Record => check(&records[taken], &got, taken as u32 + 1),
                    Next::Empty => {
                        assert!(commands.consumed(commands.position()));
                        break;
                    }
                }
                taken += 1;
            }
            taken
        };
        for (op, flags, aux, fixed, data) in &records {
            let command = Command { op: *op, flags: *flags, aux: *aux };
            while let Err(refused) = commands.send(command, fixed, data, &Nobody) {
                assert_eq!(refused, PushError::Full);
                drain(&commands, false);
            }
        }
        assert_eq!(drain(&commands, true), records.len());
    }
}

#[test]
fn a_stream_between_threads_wraps_many_times() {
    let (count, longest) = if cfg!(miri) {
        (40, 900)
    } else {
        (20_000, 3000)
    };
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let length = |n: u32| (n.wrapping_mul(2_654_435_761) >> 7) as usize % longest;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut commands = Commands::new(slice);
            for n in 0..count {
                let command = Command {
                    op: 1 + (n % 7) as u16,
                    flags: 0,
                    aux: n,
                };
                let data = vec![n as u8; length(n)];
                while commands.send(command, &[], &data, &Nobody) == Err(PushError::Full) {
                    thread::yield_now();
                }
            }
        });
        let mut host = Host::new(slice, Nobody);
        let mut got = Record::boxed();
        for n in 0..count {
            while host.next(&mut got).unwrap() == Next::Empty {
                thread::yield_now();
            }
            assert_eq!(got.header().aux, n);
            let (data, rest) = got.payload().split_at(length(n));
            assert!(data.iter().all(|&byte| byte == n as u8));
            assert!(rest.iter().all(|&byte| byte == 0));
        }
    });
}

#[test]
fn calls_are_answered_in_any_order() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let mut commands = Commands::new(slice);
    let answers = Answers::new(slice);
    let host = Host::new(slice, Nobody);
    let command = Command {
        op: 5,
        flags: 0,
        aux: 0,
    };
    let first = commands.call(command, 0, &[], &[], &Nobody).unwrap();
    let second = commands.call(command, 63, &[], &[], &Nobody).unwrap();
    host.answers()
        .reply(63, second, -7, b"later, but first")
        .unwrap();
    assert!(answers.poll(0, first).is_none());
    let reply = answers.poll(63, second).unwrap();
    assert_eq!(
        (reply.status, reply.inline()),
        (-7, &b"later, but first"[..])
    );
    host.answers().reply(0, first, 0, &[7; 112]).unwrap();
    let reply = answers.poll(0, first).unwrap();
    assert_eq!((reply.status, reply.inline()), (0, &[7; 112][..]));
    // So many words as are asked for, and those that it does not have as 0.
    assert_eq!(
        answers.poll_first(0, first).unwrap().words,
        [u64::from_le_bytes([7; 8]); 3]
    );
    let third = commands.call(command, 1, &[], &[], &Nobody).unwrap();
    host.answers().reply(1, third, 0, b"a word, more").unwrap();
    let words = [b"a word, ", b"more\0\0\0\0", &[0; 8]].map(|it| u64::from_le_bytes(*it));
    assert_eq!(answers.poll_first(1, third).unwrap().words, words);
    assert_eq!(answers.poll_first(1, third).unwrap().words, [words[0]]);
    assert!(host.answers().reply(64, second, 0, b"").is_err());
    assert!(host.answers().reply(0, second, 0, &[0; 113]).is_err());
}

#[test]
fn an_old_answer_is_never_taken_for_a_new_one() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    // What a call 2^32 calls ago left there.
    Replies::new(slice).post(3, 1, 0, b"old").unwrap();
    let command = Command {
        op: 5,
        flags: 0,
        aux: 0,
    };
    let seq = Commands::new(slice)
        .call(command, 3, &[], &[], &Nobody)
        .unwrap();
    assert!(Answers::new(slice).poll(3, seq).is_none());
}

#[test]
fn a_record_that_is_too_long_is_not_sent() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let mut commands = Commands::new(slice);
    let command = Command {
        op: 5,
        flags: 0,
        aux: 0,
    };
    let longest = vec![0; LONGEST - HEADER_SIZE];
    assert_eq!(
        commands.send(command, &[0], &longest, &Nobody),
        Err(PushError::TooLong)
    );
    assert_eq!(commands.position(), 0);
    commands.send(command, &[], &longest, &Nobody).unwrap();
}

#[test]
fn the_first_fault_reaches_the_guest() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let host = Host::new(slice, Nobody);
    let answers = Answers::new(slice);
    assert_eq!(answers.fault(), None);
    host.answers().fault(700, 12);
    host.answers().fault(719, 13);
    assert_eq!(answers.fault(), Some((700, 12)));
}

#[test]
fn the_arena_ends_where_the_slice_ends() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    assert_eq!(slice.arena_size(), 4096);
    assert!(slice.arena_write(4096 - 3, b"end"));
    let mut end = [0; 3];
    assert!(slice.arena_read(4096 - 3, &mut end));
    assert_eq!(&end, b"end");
    assert!(!slice.arena_write(4096 - 2, b"end"));
    assert!(!slice.arena_read(usize::MAX - 1, &mut end));
    let words: &[AtomicU64] = &memory[..LAYOUT.arena / 8 - 1];
    assert!(Slice::new(words, &LAYOUT).is_err());
}

#[test]
fn a_producer_does_not_believe_a_consumer() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let mut commands = Commands::new(slice);
    let command = Command {
        op: 5,
        flags: 0,
        aux: 0,
    };
    let mut fill = || loop {
        if let Err(refused) = commands.send(command, &[], &[0; LONGEST - 64], &Nobody) {
            break refused;
        }
    };
    assert_eq!(fill(), PushError::Full);
    let head = &slice.memory().words()[RING.head / 8];
    let tail = slice.memory().words()[RING.tail / 8].load(Ordering::Relaxed);
    for wrong in [tail + 16, u64::MAX, 1 << 63] {
        head.store(wrong, Ordering::Relaxed);
        assert!(matches!(fill(), PushError::Fault(_)), "{wrong:#x}");
    }
}

#[test]
fn a_record_is_consumed_when_the_next_is_asked_for() {
    let memory = memory();
    let slice = Slice::new(memory.as_slice(), &LAYOUT).unwrap();
    let mut commands = Commands::new(slice);
    let mut host = Host::new(slice, Nobody);
    let mut got = Record::boxed();
    let command = Command {
        op: 5,
        flags: 0,
        aux: 0,
    };
    for _ in 0..2 {
        // So long that its room is given back at once.
        let data = [0; RING.size / 6];
        commands.send(command, &[], &data, &Nobody).unwrap();
        let position = commands.position();
        assert_eq!(host.next(&mut got), Ok(Next::Record));
        assert!(!commands.consumed(position));
        assert_eq!(host.next(&mut got), Ok(Next::Empty));
        assert!(commands.consumed(position));
    }
}
