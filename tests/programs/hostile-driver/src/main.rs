//! A hostile driver: in a guest, as root, it tries by the mailbox, by segment directories, by rings and doorbells whatever
//! a driver can. Each act is to have one of the outcomes of its row, and after all of them the device serves a driver that
//! means well, or the exit code says so.
#![forbid(unsafe_code)]

mod act;
mod directories;
mod guest;
mod mailboxes;
mod outcome;
mod resets;
mod rings;
mod sessions;
mod storm;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vgpu_direct::{
    Channel, Device, Driver, Interrupt, Registers, keep_locked_pages, reserve_huge_pages,
};
use vgpu_ring::echo;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::Failure;

use act::Act;
use guest::{Guest, MEMORY};

/// Attacks a virtual GPU of this machine, a guest, as its driver
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  vgpu-hostile-driver\n  vgpu-hostile-driver --device 0000:00:04.0 --seed 7\n  vgpu-hostile-driver --only overlap\n  vgpu-hostile-driver --storm 60\n\nEach line is an act, how often it had which outcome, and UNEXPECTED before one that it should not have.\n\nExit code: 0 if all outcomes are expected and the device works afterwards, 1 otherwise, 2 if it could not be tried."
)]
struct Options {
    /// PCI address of the device, as lspci -D prints it; without it, the only virtual GPU
    #[arg(long)]
    device: Option<String>,

    /// Where the random numbers start from; one is chosen, and printed, where none is given
    #[arg(long)]
    seed: Option<u64>,

    /// Only the acts with this in their names
    #[arg(long, default_value = "", hide_default_value = true)]
    only: String,

    /// In place of acts whose outcomes are known, for so many seconds all at once that a driver of a CUDA device can do wrong
    #[arg(long, value_name = "SECONDS", conflicts_with = "only")]
    storm: Option<u64>,
}

/// All acts, in this order.
fn acts() -> impl Iterator<Item = &'static Act> {
    let all = [
        directories::ACTS,
        mailboxes::ACTS,
        rings::ACTS,
        resets::ACTS,
    ];
    all.into_iter().flatten()
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::catch()?;
    let device = Device::open(options.device.as_deref())?;
    let _locked = keep_locked_pages();
    let memory = options.storm.map_or(MEMORY, |_| storm::MEMORY);
    let _reserved = reserve_huge_pages(memory);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    fastrand::seed(seed);
    let mut guest = Guest::new(&device, interrupt);
    guest.driver()?.end()?;
    if let Some(seconds) = options.storm {
        let rounds = storm::run(&guest, Duration::from_secs(seconds))?;
        println!("{rounds} rounds");
        return Ok(ExitCode::SUCCESS);
    }
    let mut unexpected = 0;
    for act in acts().filter(|act| act.name.contains(&options.only)) {
        // It was well before: an act that cannot be begun has broken it.
        let outcomes = (act.run)(&mut guest).map_err(|failure| failure.with_code(1))?;
        println!("{}: {}", act.name, tally(act, &outcomes));
        unexpected += outcomes.iter().filter(|it| !act.expects(it)).count();
    }
    works(&guest)?;
    println!("the device works");
    Ok(ExitCode::from(u8::from(unexpected > 0)))
}

fn tally(act: &Act, outcomes: &[String]) -> String {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_insert(0) += 1;
    }
    let words = counts.into_iter().map(|(outcome, count)| {
        let mark = if act.expects(outcome) {
            ""
        } else {
            "UNEXPECTED "
        };
        format!("{count} {mark}{outcome}")
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Does what a driver does that means well.
fn works(guest: &Guest<'_>) -> Result<(), Failure> {
    let failed = |failure: Failure| failure.with_code(1);
    let mut driver = guest.driver().map_err(failed)?;
    let channel = driver.open(guest.memory(SLICE_SIZE)?).map_err(failed)?;
    let echoed = echoes(&driver, channel);
    echoed
        .and_then(|()| driver.close(channel))
        .map_err(failed)?;
    driver.end().map_err(failed)
}

fn echoes<R: Registers>(driver: &Driver<R>, channel: u32) -> Result<(), Failure> {
    let mut ring = Channel::new(driver, channel)?;
    for round in 0..1000_u64 {
        let number = ring.call(echo::ECHO, (round % 64) as u8, &[round, round])?;
        let answer = ring.answer((round % 64) as u8, number)?;
        if answer.inline() != [round, round].map(u64::to_le_bytes).as_flattened() {
            return Err(ring.lost("an echo came back as another"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_act_has_a_name_and_outcomes_that_there_are() {
        let mut names: Vec<_> = acts().map(|act| act.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let codes: Vec<_> = (1..=11).filter_map(vgpu_direct::name_of_code).collect();
        assert_eq!(codes.len(), 11);
        for act in acts() {
            for outcome in act.expected {
                let known = codes.contains(outcome) || act::OTHERS.contains(outcome);
                assert!(known, "{}: {outcome}", act.name);
            }
        }
    }

    #[test]
    fn what_is_unexpected_is_marked() {
        let act = Act {
            name: "x",
            expected: &["DIRECTORY"],
            run: |_| Ok(Vec::new()),
        };
        let outcomes = ["DIRECTORY", "done", "DIRECTORY"].map(str::to_owned);
        assert_eq!(tally(&act, &outcomes), "2 DIRECTORY, 1 UNEXPECTED done");
    }
}
