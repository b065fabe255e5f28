//! The ledger, under sessions that do what they like at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use vgpu_ledger::{Full, Kind, Ledger};

type Words = Vec<AtomicU64>;

fn words() -> Words {
    let all = 0..Ledger::<()>::WORDS;
    all.map(|_| AtomicU64::new(0)).collect()
}

fn ledger(words: &Words) -> Ledger<&[AtomicU64]> {
    Ledger::new(words.as_slice()).unwrap()
}

#[test]
fn a_page_that_is_too_small_is_none() {
    let words = words();
    assert!(Ledger::new(&words[1..]).is_none());
    assert!(ledger(&words).place(Ledger::<()>::PLACES).is_none());
}

#[test]
fn kinds_and_places_are_apart() {
    let words = words();
    let ledger = ledger(&words);
    ledger.set_quota(Kind::Device, 100);
    ledger.set_quota(Kind::Pinned, 10);
    let last = Ledger::<()>::PLACES - 1;
    let [first, last] = [0, last].map(|place| ledger.place(place).unwrap());
    first.reserve(Kind::Device, 70).unwrap().commit();
    last.reserve(Kind::Pinned, 10).unwrap().commit();
    let full = Full {
        asked: 31,
        used: 70,
        quota: 100,
    };
    assert_eq!(last.reserve(Kind::Device, 31).unwrap_err(), full);
    last.reserve(Kind::Device, 30).unwrap().commit();
    assert_eq!(ledger.used_by(Kind::Device, 0), 70);
    assert_eq!(
        (ledger.used(Kind::Device), ledger.used(Kind::Pinned)),
        (100, 10)
    );
    first.release(Kind::Device, 1);
    assert_eq!(ledger.used(Kind::Device), 99);
    ledger.close(0);
    assert_eq!(
        (ledger.used(Kind::Device), ledger.used(Kind::Pinned)),
        (30, 10)
    );
}

#[test]
fn a_quota_may_fall_below_what_is_used() {
    let words = words();
    let ledger = ledger(&words);
    ledger.set_quota(Kind::Device, 100);
    let place = ledger.place(0).unwrap();
    place.reserve(Kind::Device, 80).unwrap().commit();
    ledger.set_quota(Kind::Device, 50);
    assert!(place.reserve(Kind::Device, 1).is_err());
    place.release(Kind::Device, 40);
    assert!(place.reserve(Kind::Device, 10).is_ok());
}

/// Places that a compromised worker has written to.
#[test]
fn nonsense_in_the_page_is_a_full_ledger() {
    let words = words();
    let ledger = ledger(&words);
    ledger.set_quota(Kind::Device, u64::MAX - 1);
    words[16 + 7].store(u64::MAX, Ordering::Relaxed);
    words[16 + 8].store(u64::MAX, Ordering::Relaxed);
    let place = ledger.place(0).unwrap();
    assert!(place.reserve(Kind::Device, 1).is_err());
    place.release(Kind::Device, 5);
    ledger.close(7);
    ledger.close(8);
    assert!(place.reserve(Kind::Device, u64::MAX - 1).is_ok());
    assert!(place.reserve(Kind::Device, u64::MAX).is_err());
}

/// Threads reserve, commit and release, while one looks: no moment has more than the quota committed.
#[test]
fn sessions_at_once_never_have_more_than_the_quota() {
    let words = words();
    let ledger = ledger(&words);
    let quota = 1000;
    ledger.set_quota(Kind::Device, quota);
    let (held, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let granted = AtomicU64::new(0);
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..4)
            .map(|number| {
                let (place, held, over, granted) =
                    (ledger.place(number).unwrap(), &held, &over, &granted);
                scope.spawn(move || {
                    let mut chance = 12345 + number as u64;
                    for _ in 0..20_000 {
                        chance = chance
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        let bytes = 1 + (chance >> 33) % 600;
                        let Ok(reserved) = place.reserve(Kind::Device, bytes) else {
                            continue;
                        };
                        let all = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        over.fetch_or(all > quota, Ordering::SeqCst);
                        granted.fetch_add(1, Ordering::Relaxed);
                        if bytes.is_multiple_of(3) {
                            held.fetch_sub(bytes, Ordering::SeqCst);
                            drop(reserved);
                        } else {
                            reserved.commit();
                            held.fetch_sub(bytes, Ordering::SeqCst);
                            place.release(Kind::Device, bytes);
                        }
                    }
                })
            })
            .collect();
        for session in sessions {
            session.join().unwrap();
        }
    });
    assert!(!over.load(Ordering::SeqCst), "more than the quota");
    assert!(granted.load(Ordering::Relaxed) > 20_000);
    assert_eq!(ledger.used(Kind::Device), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(usize, u64),
    Drop(usize, u64),
    Release(usize, u64),
    Close(usize),
    Quota(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0_usize..4;
    let bytes = prop_oneof![0_u64..50, Just(u64::MAX), 1_u64 << 62..u64::MAX];
    prop_oneof![
        4 => (place.clone(), bytes.clone()).prop_map(|(place, bytes)| Step::Reserve(place, bytes)),
        1 => (place.clone(), bytes.clone()).prop_map(|(place, bytes)| Step::Drop(place, bytes)),
        2 => (place.clone(), bytes.clone()).prop_map(|(place, bytes)| Step::Release(place, bytes)),
        1 => place.prop_map(Step::Close),
        1 => bytes.prop_map(Step::Quota),
    ]
}

proptest! {
    /// It is what a sum of what each has would be.
    #[test]
    fn one_after_the_other_it_is_a_sum(steps in proptest::collection::vec(step(), 1..60)) {
        let words = words();
        let ledger = ledger(&words);
        let (mut has, mut quota) = ([0_u64; 4], 0_u64);
        for step in steps {
            match step {
                Step::Quota(bytes) => {
                    ledger.set_quota(Kind::Device, bytes);
                    quota = bytes;
                }
                Step::Reserve(at, bytes) | Step::Drop(at, bytes) => {
                    let kept = matches!(step, Step::Reserve(..));
                    let place = ledger.place(at).unwrap();
                    let sum = has.iter().fold(bytes, |sum, it| sum.saturating_add(*it));
                    let reserved = place.reserve(Kind::Device, bytes);
                    let countable = has[at].checked_add(bytes).is_some();
                    prop_assert_eq!(reserved.is_ok(), countable && sum <= quota);
                    if let Ok(reserved) = reserved && kept {
                        reserved.commit();
                        has[at] += bytes;
                    }
                }
                Step::Release(at, bytes) => {
                    ledger.place(at).unwrap().release(Kind::Device, bytes);
                    has[at] = has[at].saturating_sub(bytes);
                }
                Step::Close(at) => {
                    ledger.close(at);
                    has[at] = 0;
                }
            }
            let sum = has.iter().fold(0, |sum: u64, it| sum.saturating_add(*it));
            prop_assert_eq!(ledger.used(Kind::Device), sum);
        }
    }
}
