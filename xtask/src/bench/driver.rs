//! What CUDA costs a guest whose device has the null engine, in one guest: calls against the least that they could cost, a
//! training against the same engine in the guest, and a session that does nothing.

mod guest;
mod report;
mod training;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum, value_parser};
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::idle::watch;
use vgpu_bed::initramfs::Initramfs;
use vgpu_bed::machine::Machine;
use vgpu_bed::process;
use vgpu_bed::server::Server;
use vgpu_bed::steps::Steps;
use vgpu_bench::Median;
use vgpu_terminal::OrMend;

use super::EXAMPLES;
use super::conditions::Conditions;
use crate::checkout;
use crate::driven::Prepared;
use guest::{BOOT, Guest};
use report::{Calls, Idle, Report};
use training::WITH_ENGINE;

/// As users have it.
const PROFILE: &str = "release";

/// The program that measures in the guest: an example of our library's.
const MEASURES: &str = "driver-cost";

/// The machines of the two devices, in order of their nodes, and the engines and pools of these.
const MACHINES: [&str; 2] = [
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
];
const ENGINES: [&str; 2] = ["null", "echo"];

/// How long measuring calls may take. It takes a minute, and a quarter of an hour where KVM emulates the kernel.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How long a session may take to begin, to end, and to come to rest.
const SOON: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(1);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Calls,
    Training,
    Idle,
}

/// Measure what CUDA costs a guest: calls, a training, and doing nothing
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// How many times to measure calls, some seconds apart; they are the sample
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    runs: u32,

    /// How many times to train by the driver and in the guest, in turns
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    blocks: u32,

    /// Steps of each time
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=10_000))]
    steps: u32,

    /// Seconds for which a session that does nothing is watched
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600))]
    idle: u32,

    /// Measure these alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,

    #[command(flatten)]
    guest: Guest,

    /// Print JSON, with the values of each run
    #[arg(long)]
    json: bool,
}

impl Options {
    /// Measures a part, where it is to be.
    fn measure<T>(&self, part: Part, measure: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let wanted = self.only.is_empty() || self.only.contains(&part);
        wanted.then(measure).transpose()
    }
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    options.guest.ensure_kvm()?;
    let kernel = options.guest.kernel()?;
    let program = build(steps)?;
    let prepared = Prepared::new(false, PROFILE, training::SCRIPT, kernel.as_ref(), steps)?;
    let prepared = prepared.with_files(&files(&program)?)?;
    let versions = [
        ("QEMU", prepared.qemu()),
        ("tinygrad", &training::version()?),
    ];
    let conditions = Conditions::new(&prepared.program("vgpu-stub"), &versions)?;
    let mut host = Host::start(&prepared, &options.guest, steps)?;
    let calls = options.measure(Part::Calls, || {
        let calls = steps.step("Measure calls in the guest", |_| host.calls(options.runs))?;
        let here = steps.step("Measure calls on this machine", |_| {
            calls_here(&prepared, &program, options.runs)
        })?;
        Ok([calls, here])
    })?;
    let trained = options.measure(Part::Training, || {
        training::train(&mut host.machine, options.blocks, options.steps, steps)
    })?;
    let idle = options.measure(Part::Idle, || {
        steps.step("Watch a session that does nothing", |_| {
            host.idle(Duration::from_secs(options.idle.into()))
        })
    })?;
    host.machine.power_off()?;
    host.servers.iter_mut().try_for_each(Server::stop)?;
    let guest = options.guest.name(kernel.as_ref());
    let report = Report::new(guest, calls.as_ref(), trained, idle, conditions)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bounds()
}

/// Builds the guest's program.
fn build(steps: &Steps) -> Result<PathBuf> {
    steps.step("Build the program that measures", |step| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout());
        cargo.args(["build", "--profile", PROFILE, "--package", "vgpu-libcuda"]);
        step.run(cargo.args(["--example", MEASURES]))
    })?;
    let built = process::target(checkout()).join(PROFILE);
    Ok(built.join("examples").join(MEASURES))
}

/// The same program without a machine: its processor executes what the program does, and the engine is a process beside it.
fn calls_here(prepared: &Prepared, program: &Path, runs: u32) -> Result<Calls> {
    let library = tempfile::tempdir()?;
    for name in ["libcuda.so", "libcuda.so.1"] {
        symlink(prepared.program("libcuda.so"), library.path().join(name))?;
    }
    let mut vgpu = Command::new(prepared.program("vgpu"));
    vgpu.args(["run", "--engine", "null", "--library"]);
    vgpu.arg(library.path()).arg("--").arg(program);
    let output = vgpu.arg(runs.to_string()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{MEASURES}: {}", said.trim());
    serde_json::from_slice(&output.stdout).context("the program printed something else")
}

/// What the guest has of ours beside its driver.
fn files(program: &Path) -> Result<Initramfs> {
    let mut files = Initramfs::default();
    let contents = fs::read(program).with_context(|| program.display().to_string())?;
    files.program(&format!("bin/{MEASURES}"), contents);
    // By this name too, `vgpu run` looks for our library.
    files.link("lib/libcuda.so", "libcuda.so.1");
    Ok(files)
}

/// What `vgpud link` is to know.
fn configuration() -> String {
    let user = rustix::process::getuid().as_raw();
    let each = MACHINES.iter().zip(ENGINES).map(|(uuid, engine)| {
        format!(
            "[[engine]]\nname = \"{engine}\"\nkind = \"{engine}\"\n\
             [[pool]]\nname = \"{engine}\"\nengines = [\"{engine}\"]\n\
             [[machine]]\nuuid = \"{uuid}\"\nuid = {user}\npool = \"{engine}\"\n"
        )
    });
    each.collect()
}

/// The guest, and who serves its devices.
struct Host {
    // Dropped, and so ended, in this order.
    machine: Machine,
    servers: Vec<Server>,
    daemon: Daemon,
}

impl Host {
    fn start(prepared: &Prepared, guest: &Guest, steps: &Steps) -> Result<Self> {
        let daemon = Daemon::of_machines(&prepared.program("vgpud"), &configuration())
            .or_mend("See what vgpud says above.")?;
        let (builder, servers) = prepared.host(&MACHINES, &daemon)?;
        let mut machine = guest.machine(builder).start()?;
        steps
            .step("Boot the guest", |_| {
                let driver = "insmod /bin/vgpu.ko && [ -e /dev/vgpu1 ]";
                let folders = "mkdir -p /tmp /dev/shm && mount -t tmpfs tmpfs /dev/shm";
                let command = format!("{driver} && {folders}");
                let guest = machine.guest()?;
                guest.wait_ready_within(BOOT)?;
                guest.run_within(&command, BOOT)?.success()
            })
            .or_mend(
                "See what QEMU and the guest say above; on a busy machine, try again later.",
            )?;
        Ok(Self {
            machine,
            servers,
            daemon,
        })
    }

    fn calls(&mut self, runs: u32) -> Result<Calls> {
        let guest = self.machine.guest()?;
        let said = guest.run_within(&format!("{WITH_ENGINE}{MEASURES} {runs}"), LIMIT)?;
        serde_json::from_str(&said.success()?).context("the program printed something else")
    }

    /// Watches a program that keeps its session, and all who serve it.
    fn idle(&mut self, time: Duration) -> Result<Idle> {
        let mut run = |command: &str| self.machine.guest()?.run(command)?.success();
        let none = || Ok(self.daemon.workers()?.is_empty());
        within(SOON, none).context("a worker is left")?;
        run(&format!(
            "({MEASURES} stays >/idle 2>&1 & echo $! >/idle.pid)"
        ))?;
        within(SOON, || Ok(run("cat /idle")?.contains('\n')))?;
        let program = run("cat /idle.pid")?;
        let program = program.trim().parse().context("no process")?;
        let workers = self.daemon.workers()?;
        let mut processes = vec![("vgpud", self.daemon.pid())];
        processes.extend(workers.iter().map(|pid| ("worker", *pid)));
        ensure!(processes.len() == 2, "{} workers", workers.len());
        let (ours, _) = self.servers.split_first().context("no server")?;
        processes.extend([("server", ours.pid()), ("guard", ours.guard()?)]);
        thread::sleep(SETTLE);
        let woken = watch(&mut self.machine, program, &processes, time)?;
        let kill = format!("kill -9 {program}");
        self.machine.guest()?.run(&kill)?.success()?;
        Ok(Idle {
            seconds: time.as_secs(),
            woken: woken.times,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn parts_can_be_measured_alone() {
        let measured = |words: &[&str]| {
            let words = [&[""], words].concat();
            let options = Words::try_parse_from(words).unwrap().options;
            let all = [Part::Calls, Part::Training, Part::Idle];
            all.map(|part| options.measure(part, || Ok(())).unwrap().is_some())
        };
        assert_eq!(measured(&[]), [true; 3]);
        assert_eq!(measured(&["--only", "calls,idle"]), [true, false, true]);
        assert_eq!(measured(&["--only", "training"]), [false, true, false]);
    }
}
