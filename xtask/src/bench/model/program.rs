//! Times BAR0 of two models in turns. `cargo xtask bench model` makes a program of this file, with the model of a commit
//! as `then_device` and that of the checkout as `now_device`.

use std::hint::black_box;
use std::time::Instant;

/// What accesses reach, as an attachment calls it: the size is known when the access comes.
trait Bar0 {
    fn read(&mut self, offset: u16, size: usize) -> u64;
    fn write(&mut self, offset: u16, size: usize, value: u64);
}

/// What an access returns. Some models count what they refuse; of others it is known by this, and their host counts.
trait Answer {
    type Value;

    /// The value, if there is one.
    fn value(self) -> Option<Self::Value>;
}

impl Answer for u64 {
    type Value = Self;

    fn value(self) -> Option<Self> {
        Some(self)
    }
}

impl Answer for () {
    type Value = Self;

    fn value(self) -> Option<()> {
        Some(())
    }
}

impl<T, E> Answer for Result<T, E> {
    type Value = T;

    fn value(self) -> Option<T> {
        self.ok()
    }
}

macro_rules! model {
    ($name:ident, $device:ident, $pci:ident) => {
        /// With the number of refused reads and writes.
        struct $name($device::Device, [u64; 2]);

        impl $name {
            fn new() -> Self {
                let config = $device::DeviceConfig::default();
                let port_type = $pci::capability::PortType::Endpoint;
                Self($device::Device::new(&config, port_type), [0; 2])
            }
        }

        impl Bar0 for $name {
            fn read(&mut self, offset: u16, size: usize) -> u64 {
                let answer = self.0.bar0_read(offset.into(), size);
                answer.value().unwrap_or_else(|| {
                    self.1[0] = self.1[0].wrapping_add(1);
                    0
                })
            }
            fn write(&mut self, offset: u16, size: usize, value: u64) {
                let answer = self.0.bar0_write(offset.into(), size, value);
                if answer.value().is_none() {
                    self.1[1] = self.1[1].wrapping_add(1);
                }
            }
        }
    };
}

model!(Then, then_device, then_pci);
model!(Now, now_device, now_pci);

/// Register and data accesses in turn: what a driver does.
const OFFSETS: [u16; 8] = [0x04, 0x10, 0x20, 0x04, 0x3fc, 0x00, 0x100, 0x04];
/// How often these, in a block.
const PASSES: u32 = 1500;
/// Blocks of each model in a round. A round's value is the median of their ratios.
const BLOCKS: usize = 200;

/// Nanoseconds of an access, in a block.
type Time = fn(&mut dyn Bar0) -> f64;

fn time(mut pass: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..PASSES {
        pass();
    }
    start.elapsed().as_nanos() as f64 / f64::from(PASSES) / OFFSETS.len() as f64
}

fn reads(bar0: &mut dyn Bar0) -> f64 {
    time(|| {
        let bar0: &mut dyn Bar0 = black_box(&mut *bar0);
        black_box(OFFSETS.map(|offset| bar0.read(black_box(offset), black_box(4))));
    })
}

fn writes(bar0: &mut dyn Bar0) -> f64 {
    time(|| {
        let bar0: &mut dyn Bar0 = black_box(&mut *bar0);
        for offset in OFFSETS {
            bar0.write(black_box(offset), black_box(4), black_box(7));
        }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Which is first: both as often, in no order that something else on the machine could have too (xorshift).
struct Coin(u64);

impl Coin {
    fn is_heads(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 1 == 0
    }
}

/// The values of one kind of access, of each round.
fn measure(rounds: usize, time: Time) -> String {
    let (mut then, mut now): (Box<dyn Bar0>, Box<dyn Bar0>) =
        (Box::new(Then::new()), Box::new(Now::new()));
    let mut coin = Coin(88_172_645_463_325_252);
    let (mut thens, mut nows, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let blocks: Vec<(f64, f64)> = (0..BLOCKS)
            .map(|_| {
                if coin.is_heads() {
                    let first = time(&mut *then);
                    (first, time(&mut *now))
                } else {
                    let first = time(&mut *now);
                    (time(&mut *then), first)
                }
            })
            .collect();
        thens.push(median(blocks.iter().map(|block| block.0).collect()));
        nows.push(median(blocks.iter().map(|block| block.1).collect()));
        ratios.push(median(
            blocks.iter().map(|block| block.1 / block.0).collect(),
        ));
    }
    format!("{{\"then\":{thens:?},\"now\":{nows:?},\"ratios\":{ratios:?}}}")
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let rounds = rounds.expect("how many rounds");
    println!(
        "{{\"read\":{},\"write\":{}}}",
        measure(rounds, reads),
        measure(rounds, writes)
    );
}
