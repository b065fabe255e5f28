//! A device with features: a guest shares its memory with a daemon's worker, through a stock QEMU.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vgpu_bed::machine::Machine;

use crate::bed::{Bed, Served};
use crate::common::{Place, VGPU, environment, run};

const MACHINE: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

/// A daemon that has echo workers serve channels.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("vgpu-stub-").tempdir()?;
        let socket = folder.path().join("link");
        let child = Command::new(environment("VGPU_STUB_CUDA_PROGRAMS")?.join("vgpud"))
            .args(["link", "--engine", "echo", "--socket"])
            .arg(&socket)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start vgpud")?;
        let daemon = Self { child, folder };
        let since = Instant::now();
        while !socket.exists() {
            ensure!(since.elapsed() < Duration::from_secs(20), "no vgpud");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    fn serve(&self, bed: &Bed) -> Result<Served> {
        let socket = self.folder.path().join("link");
        let socket = socket.to_str().context("a path of text")?;
        bed.serve(&[
            "--device",
            "features=on",
            "--link",
            socket,
            "--machine",
            MACHINE,
        ])
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `vgpu ping` measured.
fn ping(machine: &mut Machine, arguments: &str) -> Result<Value> {
    let printed = run(machine, &format!("{VGPU} ping --json {arguments}"))?;
    println!("{printed}");
    Ok(serde_json::from_str(&printed)?)
}

fn a_guest_shares_its_memory(place: Place) -> Result<()> {
    let bed = Bed::new()?;
    let daemon = Daemon::start()?;
    let served = daemon.serve(&bed)?;
    let mut machine = bed
        .machine(&served, place)
        .image(&bed.image_with_cuda()?)
        .start()?;
    let said = ping(&mut machine, "--bytes 64M --count 20000 --parks 20")?;
    println!("{said:#}");
    machine.power_off()?;
    Ok(())
}

#[test]
fn a_guest_shares_its_memory_on_q35() -> Result<()> {
    a_guest_shares_its_memory(Place::Q35)
}

#[test]
fn a_guest_shares_its_memory_on_pc() -> Result<()> {
    a_guest_shares_its_memory(Place::Pc)
}
