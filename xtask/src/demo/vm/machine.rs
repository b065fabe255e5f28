//! A machine that trains.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use vgpu_bed::daemon::Daemon;
use vgpu_bed::machine;
use vgpu_bed::server::Server;

use super::verdict::Step;
use crate::driven::{Prepared, SCRIPTS};

/// The training.
pub(super) const SCRIPT: &str = "tinygrad_go_on.py";

/// A machine, and the process with its device.
pub(super) struct Machine {
    // Dropped, and so ended, in this order.
    machine: machine::Machine,
    servers: Vec<Server>,
    pub(super) name: &'static str,
    steps: Vec<Step>,
}

/// How far a training is.
pub(super) struct Progress {
    /// Steps that it has told of.
    pub(super) made: usize,
    pub(super) last: Option<Step>,
}

impl Machine {
    /// Starts one; its guest still boots then.
    pub(super) fn start(
        name: &'static str,
        uuid: &str,
        prepared: &Prepared,
        daemon: &Daemon,
    ) -> Result<Self> {
        let (builder, servers) = prepared.host(&[uuid], daemon)?;
        Ok(Self {
            machine: builder.start()?,
            servers,
            name,
            steps: Vec::new(),
        })
    }

    fn run(&mut self, command: &str) -> Result<String> {
        self.machine.guest()?.run(command)?.success()
    }

    /// Waits until it has booted, and starts the training.
    pub(super) fn begin(&mut self, steps: usize) -> Result<()> {
        self.run("insmod /bin/vgpu.ko && mkdir /dev/shm && mount -t tmpfs tmpfs /dev/shm")?;
        let train = format!("python3 /{SCRIPTS}/{SCRIPT} CUDA {steps} /end");
        self.run(&format!(
            "export PATH=/usr/bin:$PATH HOME=/tmp DEV=CUDA:PTX; ({train} >/out 2>/err; echo $? >/rc) >/dev/null 2>&1 &"
        ))?;
        Ok(())
    }

    /// What the training has told so far.
    pub(super) fn look(&mut self) -> Result<Progress> {
        let said = self.run("cat /out; [ ! -e /rc ] || { cat /err; cat /rc; }")?;
        let lines = said.lines().map(serde_json::from_str);
        match lines.collect::<Result<Vec<Step>, _>>() {
            // It has written a part of a line.
            Err(error) if error.is_eof() => {}
            Err(_) => bail!("the training in machine {} ended: {said}", self.name),
            Ok(steps) => self.steps = steps,
        }
        Ok(Progress {
            made: self.steps.len(),
            last: self.steps.last().cloned(),
        })
    }

    /// What the guest knows of its share.
    pub(super) fn smi(&mut self) -> Result<String> {
        self.run("vgpu smi")
    }

    /// The losses that it has told.
    pub(super) fn losses(&self) -> Vec<f64> {
        self.steps.iter().map(|step| step.loss).collect()
    }

    /// Has the training end, and gives its last step.
    pub(super) fn end(&mut self, limit: Duration) -> Result<Step> {
        self.run("touch /end")?;
        let begun = Instant::now();
        while self.run("cat /rc 2>/dev/null || echo")?.trim().is_empty() {
            ensure!(begun.elapsed() < limit, "the training does not end");
        }
        let said = self.run("cat /rc /err; tail -n 1 /out")?;
        let mut lines = said.lines();
        ensure!(
            lines.next() == Some("0"),
            "the training in machine {} failed: {said}",
            self.name
        );
        serde_json::from_str(lines.next_back().unwrap_or_default())
            .with_context(|| format!("the training said: {said}"))
    }

    /// Switches it off, and ends the process with its device.
    pub(super) fn power_off(mut self) -> Result<()> {
        self.machine.power_off()?;
        self.servers.iter_mut().try_for_each(Server::stop)
    }
}
