//! `cargo xtask demo cuda --vm`: unmodified tinygrad trains a net in each of two machines, on an engine that they share.

mod machine;
mod place;
mod verdict;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::steps::Steps;
use vgpu_terminal::{Failure, OrMend};

use super::attachment::Attachment;
use crate::driven::Prepared;
use machine::{Machine, Progress, SCRIPT};
use place::Place;
use verdict::{Share, Step};

/// The machines: their names, by which they are known, and their weights.
const MACHINES: [(&str, &str, u32); 2] = [
    ("A", "6f9619ff-8b86-d011-b42d-00c04fc964ff", 300),
    ("B", "1b4e28ba-2fa1-11d2-883f-0016d3cca427", 100),
];

/// The least that a kernel takes, in microseconds. On its own it takes some tens: emulated processors would not keep the engine
/// busy, and what nobody waits for is nobody's share.
const KERNEL_US: u32 = 1000;

/// What all is built by: one that does not take long.
const PROFILE: &str = "quick";

/// Steps whose losses are shown and compared.
const STEPS: usize = 10;

/// How long the first steps may take, on a busy machine: tinygrad makes their kernels on an emulated processor.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How often the machines are looked at, and how often there is a line of it.
const LOOK: Duration = Duration::from_secs(1);
const LINE: Duration = Duration::from_secs(10);

/// For how long shares are measured, in seconds.
const MEASURED: u32 = 10;

/// How long an end may take.
const SOON: Duration = Duration::from_secs(20);

/// What `vgpu status --json` says, as far as it is needed.
#[derive(Deserialize)]
struct Status {
    machines: Vec<MachineStatus>,
}

#[derive(Deserialize)]
struct MachineStatus {
    machine: String,
    work: Work,
}

#[derive(Deserialize)]
struct Work {
    engine_ns: u64,
}

/// Runs the demonstration.
pub(super) fn demonstrate(attachment: Option<Attachment>, keep: bool, steps: &Steps) -> Result<()> {
    if attachment == Some(Attachment::Xen) {
        return Err(Failure::new(
            "Xen has no device with features",
            "Ask for --attachment vfio-user or qemu.",
        )
        .into());
    }
    let begun = Instant::now();
    let place = Place::new()?;
    let build_qemu = attachment == Some(Attachment::Qemu);
    let prepared = Prepared::new(build_qemu, PROFILE, SCRIPT, None, steps)?;
    println!("Ready after {}.", clock(begun.elapsed()));
    let shown = show(&prepared, steps);
    if keep || shown.is_err() {
        place.keep();
        eprintln!("logs: {}", place.path().display());
    }
    shown?;
    drop(place);
    println!(
        "All of it took {}; nothing is left.",
        clock(begun.elapsed())
    );
    Ok(())
}

fn show(prepared: &Prepared, steps: &Steps) -> Result<()> {
    let daemon = Daemon::of_machines(&prepared.program("vgpud"), &configuration())
        .or_mend("See what vgpud says above.")?;
    let machines = MACHINES.map(|(name, uuid, _)| Machine::start(name, uuid, prepared, &daemon));
    let [a, b] = machines;
    let mut machines = [a?, b?];
    steps
        .step(
            &format!("Boot two machines in QEMU {}", prepared.qemu()),
            |step| {
                machines.iter_mut().try_for_each(|it| {
                    step.say(&format!("machine {}", it.name));
                    it.begin(STEPS)
                })
            },
        )
        .or_mend("See what QEMU and the guest say above; on a busy machine, try again later.")?;
    // It is soon there, and the machines are not.
    let right = on_this_machine(prepared, steps)?;
    train(&mut machines, &daemon, prepared)?;
    let trained = machines.each_ref().map(|it| (it.name, it.losses()));
    print!("{}", verdict::losses(&right, &trained));
    let shares = measure(&machines, &daemon, prepared)?;
    for machine in &mut machines {
        let shown = machine.smi()?;
        println!("guest of {}# vgpu smi\n{shown}", machine.name);
    }
    let last = machines.iter_mut().map(|it| it.end(SOON * 6));
    let last = last.collect::<Result<Vec<Step>>>()?;
    for (machine, step) in machines.iter().zip(last) {
        println!(
            "machine {} ends at step {}, loss {:.6}",
            machine.name, step.step, step.loss
        );
    }
    within(SOON, || Ok(daemon.workers()?.is_empty())).context("a worker is left")?;
    for machine in machines {
        machine.power_off()?;
    }
    drop(daemon);
    verdict::check(&right, &trained, &shares)
}

/// The losses of the same training on tinygrad's CPU backend, on this machine.
fn on_this_machine(prepared: &Prepared, steps: &Steps) -> Result<Vec<f64>> {
    let mut script = prepared.python().script(SCRIPT);
    // The file is there: it makes these steps alone.
    script.args(["CPU", &STEPS.to_string(), "/dev/null"]);
    script.env("DEV", "CPU");
    let printed = steps
        .step("Train on tinygrad's CPU backend", |step| {
            step.output(&mut script)
        })
        .or_mend("See what tinygrad says above.")?;
    let made: Vec<Step> = verdict::parse(&printed)?;
    Ok(made.iter().map(|step| step.loss).collect())
}

/// Until both have made the first steps.
fn train(machines: &mut [Machine; 2], daemon: &Daemon, prepared: &Prepared) -> Result<()> {
    println!(
        "\nBoth train; tinygrad writes its kernels in the guests first, which takes a minute or more."
    );
    let begun = Instant::now();
    let mut told = begun;
    loop {
        let mut progress = Vec::new();
        for machine in machines.iter_mut() {
            progress.push(machine.look()?);
        }
        let done = progress.iter().all(|it| it.made >= STEPS);
        if done || told.elapsed() >= LINE {
            told = Instant::now();
            let engine = host(prepared, daemon, &["top", "--count", "1"])?;
            let engine = engine.lines().next().unwrap_or_default().to_owned();
            let each = machines.iter().zip(&progress);
            let each: Vec<_> = each.map(|(it, made)| line(it.name, made)).collect();
            println!(
                "{:>7}  {}; {engine}",
                clock(begun.elapsed()),
                each.join("; ")
            );
        }
        if done {
            return Ok(());
        }
        ensure!(begun.elapsed() < LIMIT, "the machines are not done");
        thread::sleep(LOOK);
    }
}

fn line(name: &str, progress: &Progress) -> String {
    match &progress.last {
        Some(step) => format!("{name} at step {}, loss {:.4}", step.step, step.loss),
        None => format!("{name} prepares"),
    }
}

/// What part of the engine's time each got, while both keep it busy.
fn measure(machines: &[Machine; 2], daemon: &Daemon, prepared: &Prepared) -> Result<Vec<Share>> {
    let used = || -> Result<Status> {
        let said = host(prepared, daemon, &["status", "--json"])?;
        Ok(serde_json::from_str(&said)?)
    };
    println!("\nhost# vgpu top --every {MEASURED} --count 1");
    let before = used()?;
    let every = MEASURED.to_string();
    let shown = host(
        prepared,
        daemon,
        &["top", "--every", &every, "--count", "1"],
    )?;
    let after = used()?;
    println!("{shown}\nhost# vgpu status");
    println!("{}", host(prepared, daemon, &["status"])?);
    let of = |status: &Status, uuid: &str| {
        let machine = status.machines.iter().find(|it| it.machine == uuid);
        machine.map_or(0, |it| it.work.engine_ns)
    };
    let worked = MACHINES.map(|(_, uuid, _)| of(&after, uuid).saturating_sub(of(&before, uuid)));
    let weights: u32 = MACHINES.iter().map(|(_, _, weight)| weight).sum();
    let total: u64 = worked.iter().sum();
    ensure!(total > 0, "the engine did nothing");
    let all = machines.iter().zip(worked).zip(MACHINES);
    Ok(all
        .map(|((machine, worked), (_, _, weight))| Share {
            name: machine.name,
            got: worked as f64 / total as f64,
            due: f64::from(weight) / f64::from(weights),
        })
        .collect())
}

/// What the command `vgpu` says of the daemon.
fn host(prepared: &Prepared, daemon: &Daemon, words: &[&str]) -> Result<String> {
    let [first, rest @ ..] = words else {
        return Ok(String::new());
    };
    let mut vgpu = Command::new(prepared.program("vgpu"));
    vgpu.arg(first)
        .arg("--control")
        .arg(daemon.control())
        .args(rest);
    let output = vgpu.output().context("cannot run vgpu")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "vgpu {first} failed: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What `vgpud link` is to know.
fn configuration() -> String {
    let user = rustix::process::getuid().as_raw();
    let mut text =
        format!("[[engine]]\nname = \"default\"\nkind = \"cpu\"\nkernel-us = {KERNEL_US}\n");
    for (_, uuid, weight) in MACHINES {
        text += &format!(
            "\n[[machine]]\nuuid = \"{uuid}\"\nuid = {user}\nweight = {weight}\n\
             device-memory-mib = 256\n"
        );
    }
    text
}

/// A time in minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
