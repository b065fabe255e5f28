//! Processes of a machine that are killed in the middle of its work, of which it has to be started anew: the server, QEMU, and
//! all at once. Nobody keeps anything of the machine's, and the next one has it all.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, ECHO, within};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use crate::bed::{Bed, Served};
use crate::common::Place;
use crate::common::features::ends::{GIVEN_UP, LIMIT, Streaming, has_ended, stream, stream_fails};
use crate::common::features::memory::descriptors;
use crate::common::features::{FeaturesBed, LITTLE, daemon_with, ping};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Server,
    Qemu,
    All,
}

/// What a guest does while somebody is killed.
pub(super) trait Work {
    /// The engine that it takes.
    const ENGINE: &'static str;

    /// The guest that does it.
    fn image(bed: &Bed) -> Result<GuestImage>;

    /// Gets a guest ready for it that has booted.
    fn prepare(machine: &mut Machine) -> Result<()>;

    /// Begins it, without an end of its own.
    fn begin(machine: &mut Machine, daemon: &Daemon) -> Result<Streaming>;

    /// It ends with an error, as the server was killed.
    fn fails(machine: &mut Machine) -> Result<()>;
}

/// A machine and all that serves it.
pub(super) struct Whole {
    daemon: Daemon,
    served: Served,
    pub(super) machine: Machine,
    /// What the daemon has open while the machine does nothing.
    open: usize,
}

impl Whole {
    pub(super) fn start<W: Work>(bed: &Bed) -> Result<Self> {
        let daemon = daemon_with(W::ENGINE)?;
        let served = FeaturesBed::serve(bed, &daemon)?;
        let machine = boot::<W>(bed, &served)?;
        Ok(Self {
            open: descriptors(daemon.pid())?,
            daemon,
            served,
            machine,
        })
    }

    /// Kills somebody at some moment of the work, and sees that what is left behaves as the book says; makes it whole again.
    pub(super) fn lose<W: Work>(&mut self, victim: Victim, bed: &Bed) -> Result<()> {
        let at_work = W::begin(&mut self.machine, &self.daemon)?;
        thread::sleep(Duration::from_millis(fastrand::u64(..50)));
        let (qemu, server) = (self.machine.pid(), self.served.server.pid());
        let guard = self.served.server.guard()?;
        let mut killed = match victim {
            Victim::Server => vec![server],
            Victim::Qemu => vec![qemu],
            // The worker ends by itself.
            Victim::All => vec![qemu, server, self.daemon.pid()],
        };
        fastrand::shuffle(&mut killed);
        println!("{victim:?}: {killed:?}");
        killed
            .iter()
            .try_for_each(|pid| kill_process(*pid, Signal::KILL))?;
        let lives = |pid: Pid| (!killed.contains(&pid)).then_some(pid);
        let (lives_qemu, lives_server) = (lives(qemu), lives(server));
        within(GIVEN_UP, || {
            let mut all = killed.iter().chain([&at_work.worker]).copied();
            Ok(all.all(has_ended))
        })
        .context("a process is left")?;
        let only = || Ok(at_work.ram.is_only_with(lives_qemu, lives_server));
        within(GIVEN_UP, only).context("somebody has the guest's memory")?;
        if victim == Victim::Server {
            W::fails(&mut self.machine)?;
            let status = self.machine.qmp().execute("query-status", Value::Null)?;
            ensure!(status["running"] == true, "{status}");
        }
        if lives_server.is_none() {
            within(GIVEN_UP, || Ok(has_ended(guard))).context("the guard is left")?;
        }
        if victim == Victim::All {
            self.daemon.kill()?;
            self.daemon.start_again(W::ENGINE)?;
        }
        let attached = lives_server.is_some();
        within(GIVEN_UP, || has_nothing(&self.daemon, attached))
            .context("the daemon keeps something")?;
        self.renew::<W>(!attached, bed)?;
        within(
            GIVEN_UP,
            || Ok(descriptors(self.daemon.pid())? == self.open),
        )
        .context("descriptors are left")
    }

    /// Another machine, and another server where that is gone.
    fn renew<W: Work>(&mut self, server: bool, bed: &Bed) -> Result<()> {
        if server {
            self.served = FeaturesBed::serve(bed, &self.daemon)?;
        }
        self.machine = boot::<W>(bed, &self.served)?;
        Ok(())
    }

    /// Kills everybody in turn, one each round; all at once in each fourth. The work of each round shows that the one before left
    /// nothing in its way.
    pub(super) fn lose_all<W: Work>(&mut self, bed: &Bed) -> Result<()> {
        for round in 0..soak::times() {
            for (victim, every) in VICTIMS {
                if round.is_multiple_of(every) {
                    self.lose::<W>(victim, bed)
                        .with_context(|| format!("round {round}: {victim:?}"))?;
                }
            }
        }
        Ok(())
    }

    /// Ends in order.
    pub(super) fn end(mut self) -> Result<()> {
        within(LIMIT, || Ok(self.daemon.workers()?.is_empty()))?;
        self.machine.power_off()?;
        self.served.server.stop()
    }
}

/// Who is killed in a round, one after another. All at once is a quarter as often in a soak.
const VICTIMS: [(Victim, u32); 3] = [(Victim::Server, 1), (Victim::Qemu, 1), (Victim::All, 4)];

fn boot<W: Work>(bed: &Bed, served: &Served) -> Result<Machine> {
    let machine = bed.machine(served, Place::Q35).image(&W::image(bed)?);
    let mut machine = machine.start()?;
    W::prepare(&mut machine)?;
    Ok(machine)
}

/// Whether the daemon has nothing of a machine's any more but, while its emulator is attached, the user of its workers.
fn has_nothing(daemon: &Daemon, attached: bool) -> Result<bool> {
    let status = daemon.status()?;
    let machines = status["machines"].as_array().context("no machines")?;
    let has_nothing = |machine: &Value| {
        let sessions = machine["sessions"].as_array().map(Vec::len);
        let user = attached || machine["workers_user"].is_null();
        sessions == Some(0) && machine["pinned"] == 0 && machine["memory_used"] == 0 && user
    };
    Ok(machines.iter().all(has_nothing))
}

/// A stream of bytes through a channel, which is checked.
struct Echo;

impl Work for Echo {
    const ENGINE: &'static str = ECHO;

    fn image(bed: &Bed) -> Result<GuestImage> {
        bed.image_with_cuda()
    }

    fn prepare(_: &mut Machine) -> Result<()> {
        Ok(())
    }

    fn begin(machine: &mut Machine, daemon: &Daemon) -> Result<Streaming> {
        stream(machine, daemon)
    }

    fn fails(machine: &mut Machine) -> Result<()> {
        let said = stream_fails(machine)?;
        ensure!(said.contains("it reads all ones"), "{said}");
        Ok(())
    }
}

#[test]
fn of_whom_the_machine_needs() -> Result<()> {
    let bed = Bed::new()?;
    let mut whole = Whole::start::<Echo>(&bed)?;
    whole.lose_all::<Echo>(&bed)?;
    ping(&mut whole.machine, &format!("{LITTLE} --wait 20"))?;
    whole.end()
}
