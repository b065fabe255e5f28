//! `cargo xtask demo cuda`: unmodified tinygrad trains a net on the CPU engine.

use std::fs;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;

use crate::cuda::{Python, quick};

/// Steps of the training.
const STEPS: usize = 20;
/// Steps in tinygrad's emulation: it captures a step twice before it replays it.
const EMULATED: usize = 3;
/// By how much the losses of both may differ, relative: the nets go their own ways.
const APART: f64 = 1e-3;

/// A step of a training, as the script prints it.
#[derive(Debug, Deserialize)]
struct Step {
    loss: f64,
    seconds: f64,
}

/// What of a trace is shown.
#[derive(Debug, Deserialize)]
struct Trace {
    engine: String,
    device: Option<String>,
    functions: Vec<Function>,
    messages: Vec<Message>,
    waits: Vec<Wait>,
}

#[derive(Debug, Deserialize)]
struct Function {
    class: Option<String>,
    calls: u64,
    errors: u64,
    waits: u64,
}

#[derive(Debug, Deserialize)]
struct Message {
    name: String,
    count: u64,
}

#[derive(Debug, Deserialize)]
struct Wait {
    count: u64,
    nanoseconds: u64,
}

fn parse(printed: &str) -> Result<Vec<Step>> {
    let steps = printed.lines().map(serde_json::from_str);
    steps
        .collect::<Result<_, _>>()
        .context("a line that is no step")
}

/// What a replayed step takes, in seconds: the middle one.
fn middle(training: &[Step]) -> f64 {
    let mut seconds: Vec<_> = training.iter().skip(2).map(|step| step.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs the demonstration.
pub(super) fn demonstrate(steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    // Who compiles waits for no network.
    let (vgpu, python) = thread::scope(|scope| {
        let python = scope.spawn(|| Python::tinygrad(&cache, steps));
        let vgpu = quick(steps);
        let python = python.join();
        (
            vgpu,
            python.unwrap_or_else(|_| Err(anyhow!("a thread panicked"))),
        )
    });
    let (vgpu, python) = (vgpu?, python?);
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace.json");
    let train = |device: &str, target: &str, count: usize| {
        let mut script = match device {
            "CUDA" => {
                let options = ["--trace", trace.to_str().unwrap_or_default()];
                python.script_on(&vgpu, &options, "tinygrad_train.py")
            }
            _ => python.script("tinygrad_train.py"),
        };
        script.args([device, &count.to_string()]).env("DEV", target);
        script
    };
    let run = |name: &str, device: &str, target: &str, count: usize| {
        let printed = steps
            .step(name, |step| step.output(&mut train(device, target, count)))
            .or_mend("See what tinygrad says above.")?;
        parse(&printed)
    };
    let own = run("Train on vgpu's CUDA device", "CUDA", "CUDA:PTX", STEPS)?;
    let cpu = run("Train on tinygrad's CPU backend", "CPU", "CPU", STEPS)?;
    let emulated = run(
        "Train on tinygrad's emulated GPU",
        "PYTHON",
        "PYTHON",
        EMULATED,
    )?;
    let trace: Trace = serde_json::from_str(&fs::read_to_string(&trace)?)?;
    losses(&own, &cpu);
    print!("{}", summary(&trace, middle(&own), middle(&emulated)));
    check(&own, &cpu, &trace)
}

fn losses(own: &[Step], cpu: &[Step]) {
    println!("\ntinygrad, as pip installs it, trains a convolutional net. Its loss:\n");
    println!("  step   on vgpu    on tinygrad's CPU backend");
    for (number, (own, cpu)) in own.iter().zip(cpu).enumerate() {
        println!("  {:4}   {:.6}   {:.6}", number + 1, own.loss, cpu.loss);
    }
}

fn summary(trace: &Trace, own: f64, emulated: f64) -> String {
    let calls: u64 = trace.functions.iter().map(|function| function.calls).sum();
    let messages: u64 = trace.messages.iter().map(|message| message.count).sum();
    let launches = trace
        .messages
        .iter()
        .find(|message| message.name == "launch");
    let waits: u64 = trace.waits.iter().map(|wait| wait.count).sum();
    let waited: u64 = trace.waits.iter().map(|wait| wait.nanoseconds).sum();
    let never = [Some("asynchronous"), Some("shadow")];
    let functions = trace.functions.iter();
    let unwanted = functions.filter(|function| never.contains(&function.class.as_deref()));
    let unwanted: u64 = unwanted.map(|function| function.waits).sum();
    format!(
        "\n  executed by   engine {}: {}\n  \
         calls         {calls} of {} functions\n  \
         messages      {messages}, {} of them launches of kernels\n  \
         waits         {waits}, {:.2} s in all; {unwanted} in functions that are asynchronous in CUDA\n  \
         a step        {:.0} ms; in tinygrad's own emulation of a GPU {:.0} ms, {:.0} times as long\n",
        trace.engine,
        trace.device.as_deref().unwrap_or("none"),
        trace.functions.len(),
        launches.map_or(0, |launches| launches.count),
        waited as f64 / 1e9,
        own * 1e3,
        emulated * 1e3,
        emulated / own,
    )
}

fn check(own: &[Step], cpu: &[Step], trace: &Trace) -> Result<()> {
    let apart = own.iter().zip(cpu);
    let apart = apart.map(|(own, cpu)| (own.loss - cpu.loss).abs() / cpu.loss.abs());
    let apart = apart.fold(0.0, f64::max);
    let (Some(first), Some(last)) = (own.first(), own.last()) else {
        anyhow::bail!("no step was made");
    };
    ensure!(
        own.len() == STEPS && cpu.len() == STEPS,
        "a training ended early"
    );
    ensure!(last.loss < first.loss / 2.0, "the loss does not fall");
    ensure!(apart < APART, "the losses are {apart:.1e} apart");
    let errors: u64 = trace.functions.iter().map(|function| function.errors).sum();
    ensure!(errors == 0, "{errors} calls gave errors");
    Ok(())
}
