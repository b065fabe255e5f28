//! Directories that are none, and memory that is not the guest's to give.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vgpu_abi::segment::{ORDER_MAX, PAGE, PER_PAGE};
use vgpu_direct::directory::page;
use vgpu_direct::{HUGE, Pages};
use vgpu_ring::Memory;
use vgpu_terminal::Failure;

use crate::act::Act;
use crate::guest::{Bench, Guest};
use crate::outcome::outcome;

const MALFORMED: &[&str] = &["DIRECTORY"];
const NOT_MEMORY: &[&str] = &["NOT_MEMORY"];
/// Of what is both: which is found first is the host's affair.
const EITHER: &[&str] = &["DIRECTORY", "NOT_MEMORY", "PARAMETERS"];

pub(crate) const ACTS: &[Act] = &[
    Act {
        name: "a good directory",
        expected: &["done"],
        run: |guest| once(guest, |bench| bench.add(&bench.good(), HUGE as u64)),
    },
    Act {
        name: "a page twice",
        expected: &["OVERLAP"],
        run: |guest| {
            once(guest, |bench| {
                bench.add_segments(&[bench.page(0), bench.page(0)], 2 * PAGE)
            })
        },
    },
    Act {
        name: "segments that overlap",
        expected: &["OVERLAP"],
        // Whatever lies behind the first page, the second begins in its segment.
        run: |guest| {
            once(guest, |bench| {
                let first = bench.page(0) / (4 * PAGE) * (4 * PAGE);
                bench.add_segments(&[first | 2, first + PAGE], 5 * PAGE)
            })
        },
    },
    Act {
        name: "memory of the slice as a region",
        expected: &["OVERLAP"],
        run: |guest| {
            let (mut driver, slice) = (guest.driver()?, guest.memory(2 * HUGE)?);
            let taken = slice.addresses()[5];
            let channel = driver.open(slice)?;
            let directory = guest.memory(HUGE)?;
            let bench = Bench {
                driver,
                channel,
                directory,
                memory: guest.memory(HUGE)?,
            };
            Ok(vec![bench.add_segments(&[taken], PAGE)])
        },
    },
    Act {
        name: "memory of one region as another",
        expected: &["OVERLAP"],
        run: |guest| {
            once(guest, |bench| {
                bench.write(&bench.good());
                let at = bench.directory.addresses()[0];
                let first = bench.driver.mailbox().add(bench.channel, at, HUGE as u64);
                match first {
                    Ok(_) => bench.add_segments(&[bench.page(7)], PAGE),
                    Err(_) => format!("the first: {}", outcome(&first)),
                }
            })
        },
    },
    Act {
        name: "segments that wrap, or are too large",
        expected: EITHER,
        run: |guest| {
            each(
                guest,
                &[
                    !0xfff,
                    !0xfff | 1,
                    1 << 63 | 18,
                    u64::from(ORDER_MAX) + 1,
                    0xfff,
                    u64::MAX,
                ],
                |bench, word| bench.add_segments(&[word], PAGE << (word & 0xf)),
            )
        },
    },
    Act {
        name: "memory that the guest does not have",
        expected: NOT_MEMORY,
        run: |guest| {
            each(
                guest,
                &[1 << 45, 1 << 51, (1 << 40) | 8, 0xfee0_0000, 0xfec0_0000],
                |bench, word| bench.add_segments(&[word], PAGE << (word & 0xfff)),
            )
        },
    },
    Act {
        name: "the device's own BAR as memory",
        expected: NOT_MEMORY,
        run: |guest| {
            let bar = bar0(guest)?;
            once(guest, |bench| bench.add_segments(&[bar], PAGE))
        },
    },
    Act {
        name: "a directory in the device's own BAR",
        expected: EITHER,
        run: |guest| {
            let bar = bar0(guest)?;
            once(guest, |bench| bench.add_at(bar, PAGE))
        },
    },
    Act {
        name: "a directory nowhere",
        expected: EITHER,
        run: |guest| {
            each(
                guest,
                &[0x10, 0x1001, !0xfff, u64::MAX, 1 << 45],
                |bench, address| bench.add_at(address, PAGE),
            )
        },
    },
    Act {
        name: "a directory of a wrong count",
        expected: MALFORMED,
        run: |guest| {
            each(
                guest,
                &[0, u64::from(PER_PAGE) + 1, u64::from(u32::MAX)],
                |bench, count| {
                    let mut page = page(&[bench.page(0)], 0);
                    page[0] = page[0] & 0xffff_ffff | count << 32;
                    bench.add(&[page], PAGE)
                },
            )
        },
    },
    Act {
        name: "a directory of another mark",
        expected: MALFORMED,
        run: |guest| {
            once(guest, |bench| {
                let mut page = page(&[bench.page(0)], 0);
                page[0] ^= 1;
                bench.add(&[page], PAGE)
            })
        },
    },
    Act {
        name: "a directory that goes on at itself",
        expected: &["DIRECTORY", "OVERLAP"],
        run: |guest| {
            once(guest, |bench| {
                let own = bench.directory.addresses()[0];
                bench.add(&[page(&[bench.page(0)], own)], PAGE)
            })
        },
    },
    Act {
        name: "a directory that goes on nowhere",
        expected: EITHER,
        run: |guest| {
            each(guest, &[1, 0x1008, 1 << 45, !0xfff], |bench, next| {
                bench.add(&[page(&[bench.page(0)], next)], 2 * PAGE)
            })
        },
    },
    Act {
        name: "a length that is another",
        expected: &["DIRECTORY", "PARAMETERS", "LIMIT"],
        run: |guest| {
            each(
                guest,
                &[0, 1, PAGE - 1, 2 * PAGE, 1 << 40, u64::MAX, !0xfff],
                |bench, length| bench.add_segments(&[bench.page(0)], length),
            )
        },
    },
    Act {
        name: "a slice of one page",
        expected: &["PARAMETERS", "LIMIT", "HOST"],
        run: |guest| {
            once(guest, |bench| {
                bench.write(&[page(&[bench.page(0)], 0)]);
                outcome(
                    &bench
                        .driver
                        .mailbox()
                        .open(bench.directory.addresses()[0], PAGE),
                )
            })
        },
    },
    Act {
        name: "a directory that changes while it is read",
        expected: &[
            "done",
            "DIRECTORY",
            "NOT_MEMORY",
            "OVERLAP",
            "PARAMETERS",
            "LIMIT",
        ],
        run: |guest| {
            let bench = guest.bench()?;
            Ok(raced(&bench, 200))
        },
    },
    Act {
        name: "more regions than there may be",
        expected: &["done", "LIMIT"],
        run: |guest| {
            let bench = guest.bench()?;
            let one = |n: usize| {
                bench.write(&[page(&[bench.page(n)], 0)]);
                outcome(&bench.driver.mailbox().add(
                    bench.channel,
                    bench.directory.addresses()[0],
                    PAGE,
                ))
            };
            let mut outcomes: Vec<_> = (0..300).map(one).collect();
            if !outcomes.iter().any(|it| it == "LIMIT") {
                outcomes.push("no limit".to_owned());
            }
            Ok(outcomes)
        },
    },
];

/// One outcome, of a new driver.
fn once(guest: &Guest<'_>, act: impl FnOnce(&Bench<'_>) -> String) -> Result<Vec<String>, Failure> {
    Ok(vec![act(&guest.bench()?)])
}

/// One outcome for each of these.
fn each(
    guest: &Guest<'_>,
    values: &[u64],
    act: impl Fn(&Bench<'_>, u64) -> String,
) -> Result<Vec<String>, Failure> {
    let bench = guest.bench()?;
    Ok(values.iter().map(|value| act(&bench, *value)).collect())
}

/// Adds a region again and again while another thread writes to its directory.
fn raced(bench: &Bench<'_>, times: usize) -> Vec<String> {
    let good = bench.good();
    bench.write(&good);
    let (end, words) = (AtomicBool::new(false), words_of(&bench.directory));
    // Each is good at times: magic and count, the next page, segments.
    let changes = [
        (0, 0),
        (0, 1 << 32),
        (1, 0x1000),
        (2, 0),
        (2, !0xfff),
        (3, good[0][2]),
    ];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                let (word, value) = changes[fastrand::usize(..changes.len())];
                words[word].store(value, Ordering::Relaxed);
                for _ in 0..fastrand::u32(..2000) {
                    std::hint::spin_loop();
                }
                words[word].store(good[0][word], Ordering::Relaxed);
            }
        });
        let at = bench.directory.addresses()[0];
        let outcomes = (0..times).map(|_| bench.add_at(at, HUGE as u64)).collect();
        end.store(true, Ordering::Relaxed);
        outcomes
    })
}

fn words_of(pages: &Pages) -> &[std::sync::atomic::AtomicU64] {
    pages.window().words()
}

/// Where BAR0 is.
fn bar0(guest: &Guest<'_>) -> Result<u64, Failure> {
    let read = |offset| {
        let value = guest.device.read_config(offset);
        value.map_err(|error| {
            Failure::new(
                format!("cannot read config space: {error}"),
                "run it as root",
            )
        })
    };
    Ok((u64::from(read(0x10)?) | u64::from(read(0x12)?) << 16) & !0xfff)
}

impl Bench<'_> {
    /// A segment of one page of the memory.
    fn page(&self, n: usize) -> u64 {
        self.memory.addresses()[n]
    }
}
