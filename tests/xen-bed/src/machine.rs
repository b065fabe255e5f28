//! The machine that Xen runs in: one process of QEMU 7.2, which newer ones cannot replace (they lose guests).

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde_json::{Value, json};
use vgpu_bed::listener::Listener;
use vgpu_bed::machine::option_value;
use vgpu_bed::process::{self, Process};
use vgpu_bed::qmp::Qmp;
use vgpu_bed::run_folder::RunFolder;
use vgpu_bed::stream::Stream;
use vgpu_terminal::shell::quoted;

/// The processor's flags that stand for defects of the emulation under Xen:
/// dom0 dies with SMAP, HVM guests restart at RDTSCP, and Xen panics in its idle loop at MWAIT.
const PROCESSOR: &str = "EPYC,-smap,-rdtscp,-monitor";
const MEMORY_MIB: u32 = 2048;
/// How long saving or restoring the machine may take on a busy computer.
const MIGRATION_LIMIT: Duration = Duration::from_secs(60);

/// How a machine comes to life.
#[derive(Debug)]
pub(crate) enum Start<'a> {
    /// It boots, and `memory` becomes its memory, for [`Machine::save`].
    Boot {
        memory: &'a Path,
        xen: &'a Path,
        xen_arguments: &'a str,
        kernel: &'a Path,
        kernel_arguments: &'a str,
        initramfs: &'a Path,
    },
    /// It goes on from where it was saved. `memory` stays as it is, unless `keep` is set: then it is the machine's, for
    /// [`Machine::save`].
    Restore {
        memory: &'a Path,
        state: &'a Path,
        keep: bool,
    },
}

/// A machine that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    process: Process,
    qmp: Qmp,
    console: Stream,
}

impl Machine {
    /// Starts QEMU; the folder `host` of `folder` is dom0's `/host`.
    pub(crate) fn start(qemu: &Path, start: &Start<'_>, folder: &RunFolder) -> Result<Self> {
        let qmp = Listener::bind(folder.path().join("qmp.sock"))?;
        let console = Listener::bind(folder.path().join("console.sock"))?;
        let mut command = process::command(qemu);
        let (memory, share) = match start {
            Start::Boot { memory, .. } => (memory, true),
            Start::Restore { memory, keep, .. } => (memory, *keep),
        };
        let share = if share { "on" } else { "off" };
        let memory_file = format!(
            "memory-backend-file,id=memory,size={MEMORY_MIB}M,mem-path={},share={share}",
            option_value(memory)
        );
        let socket = |id: &str, path: &Path| format!("socket,id={id},path={}", option_value(path));
        let console_log = option_value(&folder.console_path());
        let host = option_value(&host_folder(folder));
        command
            .args(["-machine", "pc,accel=tcg,memory-backend=memory"])
            .args(["-cpu", PROCESSOR])
            .args(["-m", &format!("{MEMORY_MIB}M")])
            .args(["-smp", "1"])
            .args(["-object", &memory_file])
            .args(["-display", "none"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-chardev", &socket("qmp", qmp.path())])
            .args(["-mon", "chardev=qmp,mode=control"])
            .arg("-chardev")
            .arg(format!(
                "{},logfile={console_log}",
                socket("console", console.path())
            ))
            .args(["-serial", "chardev:console"])
            .arg("-fsdev")
            .arg(format!(
                "local,id=host,path={host},security_model=none,multidevs=remap"
            ))
            .args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host,addr=11"]);
        match start {
            Start::Boot {
                xen,
                xen_arguments,
                kernel,
                kernel_arguments,
                initramfs,
                ..
            } => {
                let modules = format!(
                    "{} {kernel_arguments},{}",
                    option_value(kernel),
                    option_value(initramfs)
                );
                command
                    .arg("-kernel")
                    .arg(xen)
                    .args(["-append", xen_arguments])
                    .args(["-initrd", &modules]);
            }
            Start::Restore { .. } => {
                command.args(["-incoming", "defer"]);
            }
        }
        fs::write(folder.path().join("command"), format!("{command:?}\n"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.stderr_path())?);

        let mut process = Process::start(command)?;
        let mut connect = || -> Result<_> {
            let qmp = Qmp::connect(qmp.accept(&mut process)?, folder.clone())?;
            let console: UnixStream = console.accept(&mut process)?;
            Ok((qmp, Stream::new(console)?))
        };
        let (qmp, console) = connect()
            .context("the outer QEMU did not start")
            .map_err(|error| folder.explain(&error))?;
        let mut machine = Self {
            process,
            qmp,
            console,
        };
        if let Start::Restore { state, .. } = start {
            machine.restore(state)?;
        }
        Ok(machine)
    }

    /// Stops the machine, and writes its state, without its memory, to `state`.
    pub(crate) fn save(&mut self, state: &Path) -> Result<()> {
        self.qmp.execute("stop", Value::Null)?;
        self.prepare_migration()?;
        let uri = format!("exec:cat > {}", quoted(state));
        self.qmp.execute("migrate", json!({ "uri": uri }))?;
        self.wait_migration()
    }

    fn restore(&mut self, state: &Path) -> Result<()> {
        self.prepare_migration()?;
        let uri = format!("exec:cat {}", quoted(state));
        self.qmp
            .execute("migrate-incoming", json!({ "uri": uri }))?;
        self.wait_migration()?;
        self.qmp.execute("cont", Value::Null)?;
        Ok(())
    }

    /// The memory stays in its file; the end is told by an event.
    fn prepare_migration(&mut self) -> Result<()> {
        let capabilities =
            ["x-ignore-shared", "events"].map(|name| json!({ "capability": name, "state": true }));
        self.qmp.execute(
            "migrate-set-capabilities",
            json!({ "capabilities": capabilities }),
        )?;
        Ok(())
    }

    fn wait_migration(&mut self) -> Result<()> {
        loop {
            let event = self.qmp.wait_event("MIGRATION", MIGRATION_LIMIT)?;
            match event["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed") => bail!("QEMU cannot save or restore the machine"),
                _ => {}
            }
        }
    }

    /// Types a line on dom0's console. It must be short: Xen's serial line drops what comes too fast.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        self.console.write_all(format!("{line}\n").as_bytes())
    }

    /// Waits until dom0 prints a line with `text`.
    ///
    /// # Errors
    /// At the deadline, or when Xen or dom0's kernel gives up before.
    pub(crate) fn wait_line(&mut self, text: &str, deadline: Instant) -> Result<()> {
        loop {
            let line = match self.console.read_line(deadline) {
                Ok(line) => line,
                Err(error) => return Err(self.ended().unwrap_or(error)),
            };
            if line.contains(text) {
                return Ok(());
            }
            if PANICS.iter().any(|panic| line.contains(panic)) {
                bail!("the machine panicked: {line}");
            }
        }
    }

    /// That QEMU has ended, if it has.
    fn ended(&mut self) -> Option<Error> {
        let status = self.process.wait_within(Duration::from_millis(200)).ok()?;
        Some(anyhow!("QEMU ended ({status})"))
    }
}

/// What Xen and Linux print when they give up.
const PANICS: [&str; 2] = ["Panic on CPU", "Kernel panic"];

/// The folder of the run that dom0 finds at `/host`.
pub(crate) fn host_folder(folder: &RunFolder) -> PathBuf {
    folder.path().join("host")
}
