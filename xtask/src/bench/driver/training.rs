//! A training in the guest, by the driver and by an engine in the guest, in turns.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use vgpu_bed::machine::Machine;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use super::report::Row;
use crate::checkout;
use crate::driven::SCRIPTS;

/// The training.
pub(super) const SCRIPT: &str = "tinygrad_blocks.py";

/// How a program begins in the guest whose engine is there.
pub(super) const WITH_ENGINE: &str = "vgpu run --engine null --library /lib -- ";

/// How it begins in the guest: by the driver, or by an engine there.
const WAYS: [(&str, &str); 2] = [("driver", ""), ("local", WITH_ENGINE)];

/// Steps that only warm up: tinygrad makes its kernels in the first, and records them in the next.
const WARM: u32 = 5;

/// How long that may take on an emulated processor of a busy machine, and all the steps of a time.
const FIRST: Duration = Duration::from_secs(20 * 60);
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// What is told in place of seconds where there will be none.
const ENDED: &str = "ended";

/// The package's version, as its list has it.
pub(super) fn version() -> Result<String> {
    let list = checkout().join("tests/programs/tinygrad.txt");
    let text = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let version = text.split_once("==").map(|(_, rest)| rest);
    let version = version.and_then(|rest| rest.split([' ', ';', '\\', '\n']).next());
    Ok(version.context("a list without a version")?.to_owned())
}

/// Trains in turns, `blocks` times each for so many steps. Nanoseconds of a step.
pub(super) fn train(machine: &mut Machine, blocks: u32, count: u32, steps: &Steps) -> Result<Row> {
    let [driver, local] = WAYS.map(|(name, _)| name);
    steps
        .step("Start two trainings in the guest", |_| begin(machine))
        .or_mend("See what the guest says above.")?;
    steps.step("Train in turns", |step| {
        let mut row = Row::default();
        for block in 0..blocks {
            step.say(&format!("[{}/{blocks}]", block + 1));
            let mut order = [driver, local];
            order.rotate_left(block as usize % 2);
            let mut times = order.map(|way| Ok((way, ask(machine, way, count, LIMIT)?)));
            times.rotate_left(block as usize % 2);
            let [driver, local]: [Result<(&str, f64)>; 2] = times;
            let [ours, peer] = [driver?.1, local?.1].map(|all| all * 1e9 / f64::from(count));
            row.ns.push(ours);
            row.peer_ns.push(peer);
            row.ratio.push(ours / peer);
        }
        for (way, _) in WAYS {
            let said = tell(machine, way, 0, LIMIT)?;
            ensure!(said == ENDED, "the training {way} does not end: {said}");
        }
        Ok(row)
    })
}

/// Starts both, and waits until they have warmed up.
fn begin(machine: &mut Machine) -> Result<()> {
    let environment = "export PATH=/usr/bin:$PATH HOME=/tmp DEV=CUDA:PTX";
    for (way, with) in WAYS {
        let python = format!("{with}python3 /{SCRIPTS}/{SCRIPT} CUDA /{way}.asked /{way}.told");
        // Whoever asks one that has ended is told so.
        let ended = format!("cat /{way}.asked >/dev/null & echo {ENDED} >/{way}.told");
        let command = format!(
            "{environment}; mkfifo /{way}.asked /{way}.told; \
             ({python} >/{way}.out 2>&1; {ended}) >/dev/null 2>&1 &"
        );
        machine.guest()?.run(&command)?.success()?;
    }
    for (way, _) in WAYS {
        ask(machine, way, WARM, FIRST)?;
    }
    Ok(())
}

/// Has one make so many steps; gives the seconds that it says they took.
fn ask(machine: &mut Machine, way: &str, count: u32, limit: Duration) -> Result<f64> {
    let said = tell(machine, way, count, limit)?;
    match said.parse() {
        Ok(seconds) => Ok(seconds),
        Err(_) => {
            let why = machine.guest()?.run(&format!("cat /{way}.out"))?.stdout;
            bail!("the training {way} ended: {why}")
        }
    }
}

fn tell(machine: &mut Machine, way: &str, count: u32, limit: Duration) -> Result<String> {
    let command = format!("echo {count} >/{way}.asked; cat /{way}.told");
    let said = machine.guest()?.run_within(&command, limit)?.success()?;
    Ok(said.trim().to_owned())
}
