//! A guest whose root attacks its device, and that loses and gets it again meanwhile, beside one whose programs compute: both have
//! the same daemon and engine. The other one's results stay right, and it keeps a share; the host's processes and logs do not grow.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, getuid};
use serde_json::{Value, json};
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::server::qemu_device;
use vgpu_bed::soak;

use super::{LIMIT, computes, insert, kernel_is_content, no_worker};
use crate::bed::{Bed, Served};
use crate::common::{CUDA, LOG_LIMIT, Place, environment, memory_kib, plug, run};

/// The one that attacks, and its neighbour.
const MACHINES: [&str; 2] = [
    "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
];

/// What each may have: sessions, and MiB of the device's memory.
const SESSIONS: usize = 8;
const QUOTA_MIB: u64 = 64;

/// How long the neighbour's rate is measured before the attack, and how long that lasts, where it is no soak.
const BEFORE: Duration = Duration::from_secs(5);
const ATTACK: Duration = Duration::from_secs(12);

/// The neighbour computes at least one part in so many of what it did before: the attacker's processor, and what the host does
/// for it, share the same two processors with it here, and so may other tests.
const SHARE: f64 = 20.0;
/// And this at least, all the time: the results of one program.
const SILENCE: Duration = Duration::from_secs(60);

/// What the daemon and a server may have more after the attack than before: allocators keep some of what they had.
const GROWTH_KIB: u64 = 2 << 10;
/// What a worker may have beside its quota, with the text of modules and what programs of this build take.
const WORKER_KIB: u64 = (QUOTA_MIB + 64) << 10;

/// Bytes that the daemon may log at once, and then in a second (`daemon/vgpud/src/log.rs`).
const LOGGED: u64 = 64 << 10;
const LOGGED_IN_A_SECOND: u64 = 4 << 10;

/// How long QEMU may take to unplug the device.
const GONE: Duration = Duration::from_secs(60);

/// What stock QEMU 11.1 says where it ends by itself, as the attacker's device is unplugged in the middle of a reset or of what
/// else it is at: that is the attacker's own machine.
const QEMU_ENDS: &str = "memory_region_del_subregion: Assertion";

/// Where the attacker's device is: a bus with hot-plug.
const PLACE: Place = Place::Pc;

fn daemon() -> Result<Daemon> {
    let user = getuid().as_raw();
    let machine = |uuid: &str| {
        format!(
            "[[machine]]\nuuid = \"{uuid}\"\nuid = {user}\nchannels = {SESSIONS}\ndevice-memory-mib = {QUOTA_MIB}\n"
        )
    };
    let programs = environment("VGPU_STUB_CUDA_PROGRAMS")?;
    Daemon::of_machines(&programs.join("vgpud"), &MACHINES.map(machine).concat())
}

/// The guest whose programs compute, one after the other.
struct Neighbour(Machine);

impl Neighbour {
    fn begin(&mut self) -> Result<()> {
        let command = format!(
            "(while [ ! -e /enough ]; do {CUDA} 5 >/said 2>&1 || touch /wrong /enough; echo >>/sums; done; touch /over) >/dev/null 2>&1 &"
        );
        run(&mut self.0, &command).map(drop)
    }

    /// How many programs have ended; none with an error.
    fn programs(&mut self) -> Result<u64> {
        let ended = "[ ! -e /wrong ] || { cat /said; exit 1; }; cat /sums 2>/dev/null | wc -l";
        let said = self.0.guest()?.run(ended)?;
        ensure!(said.status == 0, "a program went wrong: {}", said.stdout);
        Ok(said.stdout.trim().parse()?)
    }

    fn goes_on_from(&mut self, programs: u64) -> Result<()> {
        let more = within(SILENCE, || {
            thread::sleep(Duration::from_millis(100));
            Ok(self.programs()? > programs)
        });
        more.context("the neighbour does not compute")
    }

    /// Ends after the program that runs.
    fn end(&mut self) -> Result<()> {
        run(&mut self.0, "touch /enough")?;
        within(SILENCE, || Ok(run(&mut self.0, "[ -e /over ]").is_ok()))
    }
}

/// Attacks for some time, to the end of the attacker.
fn storm(machine: &mut Machine, time: Duration) -> Result<()> {
    let address = PLACE.address();
    let command = format!(
        "vgpu-hostile-driver --device {address} --storm {}",
        time.as_secs()
    );
    let said = machine.guest()?.run_within(&command, time + GONE)?;
    println!("{}{}", said.stdout, said.stderr);
    said.success().map(drop)
}

/// Begins an attack that would go on for longer than the test, and is under way then. Gives the most KiB of a worker.
fn begin_storm(machine: &mut Machine, daemon: &Daemon) -> Result<u64> {
    let address = PLACE.address();
    let attack = format!("vgpu-hostile-driver --device {address} --storm 600");
    let background = format!(
        "rm -f /ended; (({attack} & echo $! >/attacker; wait $!) >/attack 2>&1; touch /ended) >/dev/null 2>&1 &"
    );
    run(machine, &background)?;
    let until = Instant::now() + Duration::from_millis(fastrand::u64(500..2000));
    let mut most = 0;
    while Instant::now() < until {
        most = most.max(largest_worker(daemon)?);
        thread::sleep(Duration::from_millis(20));
    }
    let said = run(machine, "[ ! -e /ended ] || cat /attack")?;
    ensure!(said.is_empty(), "it does not attack: {said}");
    ensure!(most <= WORKER_KIB, "a worker has {most} KiB");
    Ok(most)
}

fn storm_ends(machine: &mut Machine) -> Result<()> {
    within(LIMIT, || Ok(run(machine, "[ -e /ended ]").is_ok())).context("the attack goes on")
}

/// Unplugs the device in the middle of an attack, which ends that, and plugs it in again.
fn unplug(machine: &mut Machine, device: &Value) -> Result<()> {
    let qmp = machine.qmp();
    qmp.execute("device_del", json!({ "id": "vgpu" }))?;
    qmp.wait_event("DEVICE_DELETED", GONE)?;
    storm_ends(machine)?;
    plug(machine, PLACE, device)
}

/// The most KiB that a worker has, of no more than there may be.
fn largest_worker(daemon: &Daemon) -> Result<u64> {
    let workers = daemon.workers()?;
    ensure!(workers.len() <= 2 * SESSIONS, "{} workers", workers.len());
    // Those that end meanwhile have nothing.
    let memory = workers.into_iter().filter_map(|it| memory_kib(it).ok());
    Ok(memory.max().unwrap_or(0))
}

/// What stays has so much memory: the daemon, and both servers.
fn memory(daemon: &Daemon, served: &[Served; 2]) -> Result<Vec<u64>> {
    let servers = served.iter().map(|it| it.server.pid());
    let all: Vec<Pid> = [daemon.pid()].into_iter().chain(servers).collect();
    all.into_iter().map(memory_kib).collect()
}

#[test]
fn a_neighbour_goes_on_computing() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let serve = |uuid| bed.serve(&daemon.arguments_of(uuid).each_ref().map(String::as_str));
    let served = [serve(MACHINES[0])?, serve(MACHINES[1])?];
    let image = bed.image_with_driver()?;
    let start = |served, place| bed.machine(served, place).image(&image).start();
    let mut hostile = start(&served[0], PLACE)?;
    let mut neighbour = Neighbour(start(&served[1], Place::Q35)?);
    let device = qemu_device(served[0].server.socket(), &[("id", "vgpu".into())]);
    let device = serde_json::from_str(&device)?;
    insert(&mut neighbour.0)?;
    hostile.guest()?.wait_ready()?;

    neighbour.begin()?;
    neighbour.goes_on_from(0)?;
    let rate = |programs: u64, since: Instant| programs as f64 / since.elapsed().as_secs_f64();
    let (since, first) = (Instant::now(), neighbour.programs()?);
    thread::sleep(BEFORE);
    let before = rate(neighbour.programs()? - first, since);
    let memory_before = memory(&daemon, &served)?;

    let (since, first) = (Instant::now(), neighbour.programs()?);
    let (mut windows, mut largest, mut ends) = (0, 0, 0);
    while since.elapsed() < ATTACK * soak::times() {
        let programs = neighbour.programs()?;
        storm(&mut hostile, Duration::from_secs(2))?;
        largest = begin_storm(&mut hostile, &daemon)?.max(largest);
        if let Err(error) = unplug(&mut hostile, &device) {
            ensure!(
                hostile.log().contains(QEMU_ENDS),
                "window {windows}: {error:#}"
            );
            hostile = start(&served[0], PLACE)?;
            hostile.guest()?.wait_ready()?;
            ends += 1;
        }
        neighbour.goes_on_from(programs)?;
        windows += 1;
    }
    let during = rate(neighbour.programs()? - first, since);
    println!("{windows} windows; the largest worker: {largest} KiB; QEMU ended {ends} times");
    println!("programs of the neighbour in a second: {before:.2}, then {during:.2}");
    ensure!(during * SHARE >= before, "the neighbour has no share");
    neighbour.end()?;
    no_worker(&daemon)?;
    let memory_after = memory(&daemon, &served)?;
    println!(
        "memory of the daemon and the servers: {memory_before:?} KiB, then {memory_after:?} KiB"
    );
    for (before, after) in memory_before.into_iter().zip(memory_after) {
        ensure!(after <= before + GROWTH_KIB, "it grows");
    }

    // The attacker's own device is as good as before, though nobody has let go of it.
    begin_storm(&mut hostile, &daemon)?;
    run(&mut hostile, "kill -9 $(cat /attacker)")?;
    storm_ends(&mut hostile)?;
    insert(&mut hostile)?;
    computes(&mut hostile)?;
    kernel_is_content(&mut neighbour.0)?;
    let logged = LOGGED + since.elapsed().as_secs() * LOGGED_IN_A_SECOND;
    let log = daemon.log();
    println!("the daemon's log: {} bytes", log.len());
    ensure!(log.len() as u64 <= logged, "{log}");
    for machine in [&mut hostile, &mut neighbour.0] {
        machine.power_off()?;
        ensure!(machine.log().len() < LOG_LIMIT, "{}", machine.log());
    }
    for mut served in served {
        served.server.stop()?;
        let log = served.server.log();
        println!("a server's log: {} bytes\n{log}", log.len());
        ensure!(log.len() < LOG_LIMIT, "{log}");
    }
    Ok(())
}
