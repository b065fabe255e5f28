//! Processes of a machine that are killed in the middle of a stream, of which it has to be started anew: the server, QEMU, and
//! all at once. Nobody keeps the guest's memory, and the next machine has it all.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, ECHO, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::start;
use crate::bed::{Bed, Served};
use crate::common::Place;
use crate::common::features::ends::{GIVEN_UP, LIMIT, has_ended, stream, stream_fails};
use crate::common::features::{LITTLE, daemon, ping};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Qemu,
    All,
}

/// Who is killed in a round, one after another. All at once is a quarter as often in a soak.
const VICTIMS: [(Victim, u32); 3] = [(Victim::Server, 1), (Victim::Qemu, 1), (Victim::All, 4)];

/// A machine and all that serves it.
struct Whole {
    daemon: Daemon,
    served: Served,
    machine: Machine,
}

impl Whole {
    fn start(bed: &Bed) -> Result<Self> {
        let daemon = daemon()?;
        let (served, machine) = start(bed, &daemon, Place::Q35)?;
        Ok(Self {
            daemon,
            served,
            machine,
        })
    }

    /// Kills somebody at some moment of a stream, and sees that what is left behaves as the book says; makes it whole again.
    fn lose(&mut self, victim: Victim, bed: &Bed) -> Result<()> {
        let streaming = stream(&mut self.machine, &self.daemon)?;
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
            let mut all = killed.iter().chain([&streaming.worker]).copied();
            Ok(all.all(has_ended))
        })
        .context("a process is left")?;
        let only = || Ok(streaming.ram.is_only_with(lives_qemu, lives_server));
        within(GIVEN_UP, only).context("somebody has the guest's memory")?;
        if victim == Victim::Server {
            let said = stream_fails(&mut self.machine)?;
            ensure!(said.contains("it reads all ones"), "{said}");
            let status = self.machine.qmp().execute("query-status", Value::Null)?;
            ensure!(status["running"] == true, "{status}");
        }
        if lives_server.is_none() {
            within(GIVEN_UP, || Ok(has_ended(guard))).context("the guard is left")?;
        }
        if victim == Victim::All {
            self.daemon.kill()?;
            self.daemon.start_again(ECHO)?;
        }
        self.renew(lives_server.is_none(), bed)
    }

    /// Another machine, and another server where that is gone.
    fn renew(&mut self, server: bool, bed: &Bed) -> Result<()> {
        if server {
            let (served, machine) = start(bed, &self.daemon, Place::Q35)?;
            (self.served, self.machine) = (served, machine);
        } else {
            let machine = bed.machine(&self.served, Place::Q35);
            self.machine = machine.image(&bed.image_with_cuda()?).start()?;
        }
        Ok(())
    }
}

#[test]
fn of_whom_the_machine_needs() -> Result<()> {
    let bed = Bed::new()?;
    let mut whole = Whole::start(&bed)?;
    for round in 0..soak::times() {
        for (victim, every) in VICTIMS {
            if round.is_multiple_of(every) {
                // The stream of each round shows that the one before left nothing in its way.
                whole
                    .lose(victim, &bed)
                    .with_context(|| format!("round {round}: {victim:?}"))?;
            }
        }
    }
    ping(&mut whole.machine, &format!("{LITTLE} --wait 20"))?;
    within(LIMIT, || Ok(whole.daemon.workers()?.is_empty()))?;
    whole.machine.power_off()?;
    whole.served.server.stop()
}
