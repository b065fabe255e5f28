//! What an access to BAR0 costs, run in a guest: two functions in turn, so
//! that what else the machine does falls on both.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use vgpu_bar::MappedBar;
use vgpu_bench::{Access, Comparison, Median};
use vgpu_terminal::Failure;

const EXAMPLES: &str = "\
Examples:
  bar0-cost 0000:00:05.0 0000:00:06.0
  bar0-cost 0000:00:05.0 0000:00:06.0 --access write --offset 0x20

Exit code: 0 if both were measured, 1 otherwise.";

/// Which function's blocks come when, in one round and in the next.
const ORDERS: [[usize; 4]; 2] = [[0, 1, 1, 0], [1, 0, 0, 1]];

/// Times 4-byte accesses to BAR0 of two PCI functions, and prints their ratio as JSON
///
/// A round times four blocks: first, second, second, first, and the other way round in the next round. So a machine
/// that gets slower or faster does so for both.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Options {
    /// PCI address of a function that no driver uses, as lspci -D prints it
    first: String,

    /// PCI address of the one to compare it with
    second: String,

    /// What to time; writes write what was there
    #[arg(long, value_enum, default_value_t = Access::Read)]
    access: Access,

    /// Where in BAR0, in bytes, a multiple of 4
    #[arg(long, value_parser = number, default_value = "0")]
    offset: usize,

    /// How often to compare
    #[arg(long, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=100_000), default_value_t = 300)]
    rounds: u32,

    /// Accesses in a block
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000), default_value_t = 50)]
    accesses: u32,
}

fn main() -> ExitCode {
    match compare(&Options::parse()) {
        Ok(comparison) => {
            println!("{}", serde_json::json!(comparison));
            ExitCode::SUCCESS
        }
        Err(failure) => failure.with_code(1).report(),
    }
}

fn compare(options: &Options) -> Result<Comparison, Failure> {
    let bars = [
        Bar0::open(&options.first, options.offset)?,
        Bar0::open(&options.second, options.offset)?,
    ];
    let registers = [bars[0].register()?, bars[1].register()?];
    let block = |function: usize| {
        let time = time(registers[function], options.access, options.accesses);
        time.as_secs_f64() * 1e9 / f64::from(options.accesses)
    };
    let mut blocks = [Vec::new(), Vec::new()];
    let mut round = |order: [usize; 4]| {
        let mut sums = [0.0; 2];
        for function in order {
            let ns = block(function);
            blocks[function].push(ns);
            sums[function] += ns;
        }
        sums[0] / sums[1]
    };
    let ratios: Vec<f64> = ORDERS
        .into_iter()
        .cycle()
        .take(options.rounds as usize)
        .map(&mut round)
        .collect();
    for bar in &bars {
        bar.ensure_answers()?;
    }
    Ok(Comparison {
        access: options.access,
        accesses: options.accesses,
        first_ns: median(&blocks[0])?.value,
        second_ns: median(&blocks[1])?.value,
        ratio: median(&ratios)?,
        ratios,
    })
}

fn median(values: &[f64]) -> Result<Median, Failure> {
    Median::of(values).ok_or_else(|| Failure::new("too few rounds", "ask for more --rounds"))
}

/// How long `count` accesses take.
fn time(register: &AtomicU32, access: Access, count: u32) -> Duration {
    let value = match access {
        Access::Read => 0,
        Access::Write => register.load(Ordering::Relaxed),
    };
    let started = Instant::now();
    match access {
        Access::Read => {
            for _ in 0..count {
                black_box(register.load(Ordering::Relaxed));
            }
        }
        Access::Write => {
            for _ in 0..count {
                register.store(black_box(value), Ordering::Relaxed);
            }
            // A read passes no write that was posted before it (PCI 3.0, section 3.2.5).
            black_box(register.load(Ordering::Relaxed));
        }
    }
    started.elapsed()
}

/// A function's BAR0.
struct Bar0<'a> {
    address: &'a str,
    mapping: MappedBar,
    offset: usize,
}

impl<'a> Bar0<'a> {
    /// Enables the function and maps all of its BAR0.
    fn open(address: &'a str, offset: usize) -> Result<Self, Failure> {
        let function = Path::new("/sys/bus/pci/devices").join(address);
        fs::write(function.join("enable"), "1").map_err(|error| {
            Failure::new(
                format!("{address} cannot be enabled: {error}"),
                "run this as root, with an address that lspci -D prints",
            )
        })?;
        let resource = function.join("resource0");
        let map = || {
            let file = OpenOptions::new().read(true).write(true).open(&resource)?;
            let size = file.metadata()?.len() as usize;
            MappedBar::new(file, size)
        };
        let mapping = map().map_err(|error| {
            Failure::new(
                format!("{} cannot be mapped: {error}", resource.display()),
                "choose a function whose BAR0 is memory, and that no driver uses",
            )
        })?;
        let bar = Self {
            address,
            mapping,
            offset,
        };
        bar.ensure_answers()?;
        Ok(bar)
    }

    fn register(&self) -> Result<&AtomicU32, Failure> {
        self.mapping.register(self.offset).map_err(|error| {
            Failure::new(
                format!("{} has no such place in its BAR0: {error}", self.address),
                "give another --offset, a multiple of 4",
            )
        })
    }

    /// An access that nobody answers costs another time.
    fn ensure_answers(&self) -> Result<(), Failure> {
        if self.register()?.load(Ordering::Relaxed) != u32::MAX {
            return Ok(());
        }
        Err(Failure::new(
            format!("BAR0 of {} reads as all ones", self.address),
            "see that the device is alive, or give an --offset where it has another value",
        ))
    }
}

fn number(text: &str) -> Result<usize, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "expected a number such as 32 or 0x20".into())
}
