//! A hostile guest: from all processors, at full speed and at random, it does
//! to the device whatever a guest can. The device is as before afterwards, or
//! the exit code says so. Run it in a Linux guest, as root, on a device that no
//! driver uses.

mod attack;
mod places;
mod processor;
mod registers;
mod under_load;
mod window;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use vgpu_conformance::guest::{Address, ConfigPorts};

use attack::{Attacker, Counts};
use places::Places;
use processor::stay_on;
use registers::Registers;
use under_load::Act;

/// Attacks a PCI device of this machine, a guest
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  vgpu-hostile 0000:00:05.0\n  vgpu-hostile 0000:00:05.0 --seconds 60 --seed 7\n  vgpu-hostile 0000:00:05.0 --seconds 1 --under-load eject\n\nThe seed makes each processor do the same things in the same order; how they meet is chance.\n\nExit code: 0 if the device is afterwards as it was, or ejected, 1 otherwise."
)]
struct Options {
    /// PCI address of the device, as lspci -D prints it
    address: Address,

    /// How long to attack
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86400))]
    seconds: u64,

    /// Where the random numbers start from; one is chosen, and printed, where none is given
    #[arg(long)]
    seed: Option<u64>,

    /// Do nothing at random: all processors but the first read BAR0, and that one does this
    #[arg(long, value_enum, conflicts_with = "seed")]
    under_load: Option<Act>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vgpu-hostile: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let device = options.address;
    let mut config = ConfigPorts::open(device)
        .context("the ports 0xCF8 to 0xD02 are closed to this program; run it as root")?;
    ensure!(
        config.read(0x00, 4) != Some(u32::MAX),
        "there is no device {device}"
    );
    // BAR0 is mapped from where Linux put it.
    std::fs::write(device.sysfs().join("enable"), "1")
        .with_context(|| format!("{device} cannot be enabled"))?;
    let registers = Registers::read(&mut config);
    let processors = thread::available_parallelism()?.get();
    let time = Duration::from_secs(options.seconds);
    if let Some(act) = options.under_load {
        under_load::run(device, act, (processors, time), &registers)?;
        let restored = registers.restore(&mut config);
        return match config.read(0x00, 4) {
            // Gone, by this guest or by its host, and perhaps just now.
            Some(u32::MAX) => Ok(()),
            _ => restored,
        };
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let home = registers.bar0();
    let places = Arc::new(Places::find(device, home)?);
    println!(
        "seed {seed}: {processors} processors, {} s, BAR0 over {} places, {} windows",
        options.seconds,
        places.addresses.len(),
        places.windows.len()
    );
    let end = Instant::now() + time;
    let counts = attack(device, &places, home, (seed, processors), end);
    // The device first: an attack that ended early is no reason to leave it.
    let restored = registers.restore(&mut config);
    println!("{}", attack::describe(&counts?));
    restored
}

/// Attacks from each processor.
fn attack(
    device: Address,
    places: &Arc<Places>,
    home: u32,
    (seed, processors): (u64, usize),
    end: Instant,
) -> Result<Vec<Counts>> {
    let one = |processor: usize| -> Result<Counts> {
        stay_on(processor)?;
        let seed = seed.wrapping_add(processor as u64);
        Ok(Attacker::new(seed, device, places, home)?.run(end))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..processors)
            .map(|processor| scope.spawn(move || one(processor)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .collect()
    })
}
