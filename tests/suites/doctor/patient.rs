//! A VM that the doctor examines, and where its mends are typed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::debian_qemu;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::machine::{Machine, MachineBuilder, MachineType};
use vgpu_bed::server::qemu_device;
use vgpu_bed::shell::Shell;
use vgpu_bed::steps::Steps;

/// The QEMU of a VM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qemu {
    /// With the device built in.
    Own,
    /// As Debian ships it, with vfio-user.
    Stock,
    /// As Debian shipped it before that.
    Old,
}

/// How the VM is started, each time.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) qemu: Qemu,
    /// Further arguments of QEMU.
    pub(crate) arguments: Vec<String>,
    /// Further words for the guest's kernel.
    pub(crate) kernel: String,
    pub(crate) uefi: bool,
}

impl Start {
    pub(crate) fn new(qemu: Qemu, arguments: &[&str]) -> Self {
        Self {
            qemu,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            kernel: String::new(),
            uefi: false,
        }
    }
}

/// A VM, what belongs to it, and a shell on the host.
pub(crate) struct Patient {
    machine: Option<Machine>,
    pub(crate) start: Start,
    /// A folder of its sockets.
    folder: tempfile::TempDir,
    image: GuestImage,
    cache: Cache,
    steps: Steps,
    shell: Shell,
}

/// What the doctor finds, as `--json` has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) well: bool,
    pub(crate) points: Vec<Finding>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) verdict: String,
    pub(crate) cause: Option<String>,
    pub(crate) mend: Vec<Mend>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mend {
    pub(crate) on: String,
    #[serde(rename = "type")]
    pub(crate) line: String,
}

impl Report {
    /// The points with a fault.
    pub(crate) fn faults(&self) -> Vec<&Finding> {
        let points = self.points.iter();
        points.filter(|point| point.verdict == "fault").collect()
    }
}

impl Patient {
    /// A VM that does not run yet. Where its QEMU takes a vfio-user server, that is at [`Self::socket`].
    pub(crate) fn new(start: Start) -> Result<Self> {
        let cache = Cache::open()?;
        let steps = Steps::new(&cache.dir("logs/tests")?)?;
        let programs = programs()?;
        let files = ["vgpu-stub", "vgpu-conformance"].map(|name| (name, programs.join(name)));
        let in_guest = files
            .each_ref()
            .map(|(name, file)| GuestProgram { name, file });
        Ok(Self {
            machine: None,
            start,
            folder: tempfile::Builder::new().prefix("vgpu-stub-").tempdir()?,
            image: GuestImage::assemble(&cache, &in_guest, &steps)?,
            cache,
            steps,
            shell: shell(&programs)?,
        })
    }

    /// Where its vfio-user server listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("vfio-user.sock")
    }

    /// Where its server's control socket is.
    pub(crate) fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// Where its QEMU listens for the doctor.
    pub(crate) fn qmp(&self) -> PathBuf {
        self.folder.path().join("qmp.sock")
    }

    /// QEMU's argument for the device of that server.
    pub(crate) fn served(&self) -> [String; 2] {
        ["-device".into(), qemu_device(&self.socket(), &[])]
    }

    pub(crate) fn machine(&mut self) -> Result<&mut Machine> {
        self.machine.as_mut().context("the VM does not run")
    }

    /// Starts the VM, again where it runs.
    pub(crate) fn boot(&mut self) -> Result<()> {
        self.machine = None;
        let (qemu, firmware) = self.qemu()?;
        let monitor = format!("unix:{},server=on,wait=off", self.qmp().display());
        let mut builder = MachineBuilder::new(&qemu, MachineType::Pc, &firmware)
            .image(&self.image)
            .kernel_arguments(&self.start.kernel)
            .arguments(["-name", self.name().as_str(), "-qmp", &monitor])
            .arguments(&self.start.arguments);
        if self.start.qemu == Qemu::Stock {
            builder = builder.shared_memory();
        }
        self.machine.insert(builder.start()?).guest()?.wait_ready()
    }

    pub(crate) fn switch_off(&mut self) {
        self.machine = None;
    }

    /// The VM's name on this host.
    pub(crate) fn name(&self) -> String {
        let folder = self.folder.path().file_name().unwrap_or_default();
        folder.to_string_lossy().into_owned()
    }

    fn qemu(&self) -> Result<(PathBuf, Firmware)> {
        Ok(match self.start.qemu {
            Qemu::Own => (
                environment("VGPU_STUB_QEMU")?,
                match self.start.uefi {
                    true => Firmware::ovmf(&self.cache, &self.steps)?,
                    false => Firmware::seabios(&self.cache, &self.steps)?,
                },
            ),
            Qemu::Stock => (environment("VGPU_STUB_STOCK_QEMU")?, Firmware::own()),
            Qemu::Old => {
                let suite = Suite::debian("bookworm");
                let qemu = debian_qemu::fetch(&self.cache, &suite, &self.steps)?;
                (qemu, Firmware::own())
            }
        })
    }

    /// Examines it on the host, whose `qemu-system-x86_64` is the VM's: this machine may have another one, or none.
    pub(crate) fn on_host(&self, arguments: &[&str]) -> Result<Report> {
        let (qemu, _) = self.qemu()?;
        let qemu = qemu.parent().context("QEMU is in no folder")?;
        let output = Command::new(programs()?.join("vgpu-stub"))
            .args(["doctor", "--json"])
            .env("PATH", path(qemu))
            .args(arguments)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        report(&output.stdout, output.status.code())
            .with_context(|| format!("the doctor on the host says: {said}"))
    }

    /// Examines it in the guest.
    pub(crate) fn in_guest(&mut self) -> Result<Report> {
        let output = self
            .machine()?
            .guest()?
            .run("vgpu-stub doctor --guest --json")?;
        report(output.stdout.as_bytes(), Some(output.status.into()))
            .with_context(|| format!("the doctor in the guest says: {}", output.stderr))
    }

    /// Runs a command in the guest, which must succeed.
    pub(crate) fn guest(&mut self, line: &str) -> Result<String> {
        self.machine()?.guest()?.run(line)?.success()
    }

    /// Types a line on the host, and returns what it prints.
    pub(crate) fn host(&mut self, line: &str) -> Result<String> {
        self.shell.run(line)
    }

    /// Ends QEMU at once.
    pub(crate) fn kill_qemu(&mut self) -> Result<()> {
        let machine = self.machine()?;
        machine.signal(Signal::KILL)?;
        machine.wait_exit(Duration::from_secs(10))?;
        Ok(())
    }

    /// Types a mend where it belongs, and returns what it prints.
    pub(crate) fn mend(&mut self, mend: &Mend) -> Result<String> {
        match mend.on.as_str() {
            "host" => self.host(&mend.line),
            "guest" => self.guest(&mend.line),
            "qemu-arguments" => {
                // As a shell takes it apart.
                let words = self.host(&format!("printf '%s\\n' {}", mend.line))?;
                self.start
                    .arguments
                    .extend(words.lines().map(str::to_owned));
                self.boot()?;
                Ok(String::new())
            }
            other => anyhow::bail!("no such place: {other}"),
        }
    }

    /// Starts a server on [`Self::socket`], and waits until it listens.
    pub(crate) fn serve(&mut self, arguments: &str) -> Result<()> {
        let socket = self.socket();
        let line = format!(
            "vgpu-stub vfio-user --socket {} {arguments} &",
            socket.display()
        );
        self.host(&line)?;
        wait_until(|| socket.exists())
    }

    /// The process that serves it.
    pub(crate) fn server(&mut self) -> Result<u32> {
        let pattern = format!("vfio-user --socket {}", self.socket().display());
        let pids = self.host(&format!("pgrep -f '[v]gpu-stub {pattern}'"))?;
        Ok(pids.lines().next().context("no server")?.parse()?)
    }
}

fn report(stdout: &[u8], code: Option<i32>) -> Result<Report> {
    let report: Report = serde_json::from_slice(stdout)?;
    let expected = if report.faults().is_empty() { 0 } else { 1 };
    ensure!(
        report.well == (expected == 0),
        "'well' and the points differ"
    );
    ensure!(code == Some(expected), "exit code {code:?}, not {expected}");
    Ok(report)
}

/// A shell of the host that finds the programs.
fn shell(programs: &Path) -> Result<Shell> {
    let mut command = Command::new("sh");
    command.env("PATH", path(programs));
    Shell::start(command, tempfile::tempdir()?)
}

/// The `PATH` where a folder's programs come first.
fn path(folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
}

pub(crate) fn wait_until(done: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        ensure!(Instant::now() < deadline, "it does not happen");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn programs() -> Result<PathBuf> {
    environment("VGPU_STUB_PROGRAMS")
}

fn environment(name: &str) -> Result<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set; run these tests with: cargo xtask test"))
}
