//! A virtual machine: one QEMU process with its control connections, its console, and the guest in it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::channel::Guest;
use crate::firmware::Firmware;
use crate::guest::GuestImage;
use crate::listener::Listener;
use crate::process::{self, Process};
use crate::qmp::Qmp;
use crate::qtest::Qtest;
use crate::run_folder::RunFolder;
use vgpu_terminal::Failure;

/// A kernel that gives up restarts the machine, which ends QEMU by `-no-reboot`. It does not test its timer, as it gives up where
/// a busy host is late with that. The second line leaves out work that takes a second here and shows nothing.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 no_timer_check \
     nokaslr mitigations=off cryptomgr.notests audit=0 apparmor=0 nowatchdog \
     initcall_blacklist=crypto_kdf108_init,init_kprobe_trace,init_trace_printk_function_export,inet6_init,cubictcp_register";

/// How long a reset may take, on a busy machine.
const RESET_LIMIT: Duration = Duration::from_secs(60);

/// The machines that the project supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineType {
    /// i440FX: conventional PCI.
    Pc,
    /// Q35: PCI Express.
    Q35,
}

impl MachineType {
    /// QEMU's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
        }
    }
}

/// A machine yet to be started.
#[derive(Debug, Clone)]
pub struct MachineBuilder {
    qemu: PathBuf,
    machine: MachineType,
    firmware: Firmware,
    memory_mib: u32,
    shared_memory: bool,
    accelerator: String,
    image: Option<GuestImage>,
    kernel_arguments: String,
    arguments: Vec<OsString>,
    incoming: bool,
    qtest: bool,
    shell: bool,
}

/// A machine that runs until it is dropped.
#[derive(Debug)]
pub struct Machine {
    // Dropped, and so ended, first: the folder goes last.
    process: Process,
    qmp: Qmp,
    guest: Option<Guest>,
    qtest: Option<Qtest>,
    folder: RunFolder,
}

impl MachineBuilder {
    /// A machine of 256 MiB and one CPU, with no devices but the board's own, run by the program `qemu`.
    #[must_use]
    pub fn new(qemu: &Path, machine: MachineType, firmware: &Firmware) -> Self {
        Self {
            qemu: qemu.to_path_buf(),
            machine,
            firmware: firmware.clone(),
            memory_mib: 256,
            shared_memory: false,
            accelerator: "tcg".into(),
            image: None,
            kernel_arguments: KERNEL_ARGUMENTS.into(),
            arguments: Vec::new(),
            incoming: false,
            qtest: false,
            shell: false,
        }
    }

    /// Gives the machine this much memory, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Lets other processes map the machine's memory, as vfio-user servers do that access it.
    #[must_use]
    pub fn shared_memory(mut self) -> Self {
        self.shared_memory = true;
        self
    }

    /// Sets a property of QEMU's emulation of processors, such as `thread=single`.
    #[must_use]
    pub fn tcg(mut self, property: &str) -> Self {
        self.accelerator += &format!(",{property}");
        self
    }

    /// Has this machine's processors execute the guest, by KVM, as a processor that is written as for QEMU's option `-cpu`.
    #[must_use]
    pub fn kvm(mut self, processor: &str) -> Self {
        self.accelerator = "kvm".into();
        self.arguments(["-cpu", processor])
    }

    /// Boots `image`. Without this the machine has nothing to boot but its firmware.
    #[must_use]
    pub fn image(mut self, image: &GuestImage) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// Starts the guest's kernel with these words too. The last of two that contradict each other holds.
    #[must_use]
    pub fn kernel_arguments(mut self, words: &str) -> Self {
        self.kernel_arguments += " ";
        self.kernel_arguments += words;
        self
    }

    /// Adds a device, written as for QEMU's option `-device`: properties with commas, or a JSON object.
    #[must_use]
    pub fn device(self, device: &str) -> Self {
        self.arguments(["-device", device])
    }

    /// Adds arguments for QEMU.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Waits for a running guest from elsewhere: `uri` as for QEMU's option `-incoming`.
    #[must_use]
    pub fn incoming(mut self, uri: &str) -> Self {
        self.incoming = true;
        self.arguments(["-incoming", uri])
    }

    /// Has accesses done by [`Machine::qtest`] in place of a CPU.
    #[must_use]
    pub fn qtest(mut self) -> Self {
        self.qtest = true;
        self
    }

    /// Gives the user's terminal to a shell in the guest.
    #[must_use]
    pub fn shell(mut self) -> Self {
        self.shell = true;
        self
    }

    /// Starts QEMU. The guest, if any, is still booting then: [`Guest::wait_ready`] waits for it.
    ///
    /// # Errors
    /// When QEMU cannot be run, or refuses its arguments: the error then holds what QEMU says.
    pub fn start(self) -> Result<Machine> {
        ensure_program(&self.qemu)?;
        self.start_in(RunFolder::new()?)
            .with_context(|| format!("cannot start {}", self.qemu.display()))
    }

    fn start_in(&self, folder: RunFolder) -> Result<Machine> {
        let qmp = Listener::bind(folder.path().join("qmp.sock"))?;
        let channel = Listener::bind(folder.path().join("channel.sock"))?;
        let qtest = match self.qtest {
            true => Some(Listener::bind(folder.path().join("qtest.sock"))?),
            false => None,
        };

        let mut command = process::command(&self.qemu);
        self.add_board(&mut command);
        self.add_firmware(&mut command, &folder)?;
        self.add_image(&mut command, &folder)?;
        // QEMU's own standard input and output are the other end of the first serial port.
        let escape = if self.shell { "on" } else { "off" };
        let log = option_value(&folder.console_path());
        command
            .args([
                "-chardev",
                &format!("socket,id=qmp,path={}", option_value(qmp.path())),
            ])
            .args(["-mon", "chardev=qmp,mode=control"])
            .args([
                "-chardev",
                &format!("stdio,id=console,signal=off,mux={escape},logfile={log}"),
            ])
            .args(["-serial", "chardev:console"]);
        // Without a guest that serves it there is no such port: OVMF would take it for a console.
        if self.image.is_some() {
            let socket = format!("socket,id=channel,path={}", option_value(channel.path()));
            command
                .args(["-chardev", &socket])
                .args(["-serial", "chardev:channel"]);
        }
        if let Some(qtest) = &qtest {
            let socket = format!("unix:{}", option_value(qtest.path()));
            command.args(["-qtest", &socket, "-qtest-log", "none"]);
        }
        command.args(&self.arguments);
        fs::write(folder.path().join("command"), format!("{command:?}\n"))?;
        if !self.shell {
            command.stdin(Stdio::piped()).stdout(Stdio::null());
        }
        command.stderr(File::create(folder.stderr_path())?);

        let mut process = Process::start(command)?;
        let mut connect = || -> Result<_> {
            let qmp = Qmp::connect(qmp.accept(&mut process)?, folder.clone())?;
            let guest = match self.image {
                Some(_) => {
                    let socket = channel.accept(&mut process)?;
                    Some(Guest::new(socket, self.incoming, folder.clone())?)
                }
                None => None,
            };
            let qtest = match &qtest {
                Some(qtest) => Some(Qtest::new(qtest.accept(&mut process)?, folder.clone())?),
                None => None,
            };
            Ok((qmp, guest, qtest))
        };
        match connect() {
            Ok((qmp, guest, qtest)) => Ok(Machine {
                process,
                qmp,
                guest,
                qtest,
                folder,
            }),
            // Most often QEMU has ended, as it does not like its arguments.
            Err(error) => match process.wait_within(Duration::from_secs(1)) {
                Ok(status) => bail!("QEMU ended ({status}): {}", folder.stderr().trim()),
                Err(_) => Err(folder.explain(&error)),
            },
        }
    }

    fn add_board(&self, command: &mut Command) {
        let mut machine = self.machine.name().to_string();
        if self.shared_memory {
            let size = self.memory_mib;
            let memory = format!("memory-backend-memfd,id=memory,size={size}M,share=on");
            command.args(["-object", &memory]);
            machine += ",memory-backend=memory";
        }
        let accelerator = match self.qtest {
            true => "qtest",
            false => &self.accelerator,
        };
        command
            .args(["-machine", &machine])
            .args(["-accel", accelerator])
            .args(["-m", &format!("{}M", self.memory_mib)])
            .args(["-display", "none"])
            .args(["-nodefaults", "-no-user-config"]);
    }

    fn add_firmware(&self, command: &mut Command, folder: &RunFolder) -> Result<()> {
        for folder in &self.firmware.search {
            command.arg("-L").arg(folder);
        }
        let Some(uefi) = &self.firmware.uefi else {
            return Ok(());
        };
        let variables = folder.path().join("uefi-variables.fd");
        fs::copy(&uefi.variables, &variables).context("cannot copy the variables of OVMF")?;
        let flash = [(&uefi.code, "on"), (&variables, "off")];
        for (unit, (file, readonly)) in flash.into_iter().enumerate() {
            let file = option_value(file);
            let drive = format!("if=pflash,unit={unit},format=raw,readonly={readonly},file={file}");
            command.args(["-drive", &drive]);
        }
        Ok(())
    }

    fn add_image(&self, command: &mut Command, folder: &RunFolder) -> Result<()> {
        let Some(image) = &self.image else {
            return Ok(());
        };
        let initramfs = folder.path().join("initramfs");
        image.write_initramfs(&initramfs)?;
        let kernel = match self.firmware.uefi {
            Some(_) => image.kernel(),
            None => image.elf(),
        };
        let shell = if self.shell { " vgpu.shell" } else { "" };
        command
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", &format!("{}{shell}", self.kernel_arguments)])
            .arg("-no-reboot");
        Ok(())
    }
}

impl Machine {
    /// QEMU's control protocol.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// The guest, which runs commands once it has booted.
    ///
    /// # Errors
    /// When the machine was built without an image.
    pub fn guest(&mut self) -> Result<&mut Guest> {
        self.guest
            .as_mut()
            .ok_or_else(|| anyhow!("the machine was built without a guest's image"))
    }

    /// Accesses without a guest.
    ///
    /// # Errors
    /// When the machine was not built for it.
    pub fn qtest(&mut self) -> Result<&mut Qtest> {
        self.qtest
            .as_mut()
            .ok_or_else(|| anyhow!("the machine was built without qtest"))
    }

    /// What the first serial port has printed so far.
    #[must_use]
    pub fn console(&self) -> String {
        self.folder.console()
    }

    /// Types `text` on the first serial port.
    ///
    /// # Errors
    /// When QEMU is gone, or the port belongs to the user's terminal.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        let stdin = self
            .process
            .stdin()
            .ok_or_else(|| anyhow!("the console belongs to the user's terminal"))?;
        stdin
            .write_all(text.as_bytes())
            .and_then(|()| stdin.flush())
            .context("cannot type on the console")
            .map_err(|error| self.folder.explain(&error))
    }

    /// QEMU's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Sends QEMU a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// What QEMU itself has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.folder.stderr()
    }

    /// The folder with the machine's logs and sockets; what a test puts there goes with the machine.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves that folder where it is.
    pub fn keep_folder(&self) {
        self.folder.keep();
    }

    /// Waits for QEMU's own end, however long it takes.
    ///
    /// # Errors
    /// When QEMU fails.
    pub fn wait(&mut self) -> Result<()> {
        let status = self.process.wait()?;
        self.ensure_success(status)
    }

    /// Waits for QEMU's own end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process
            .wait_within(limit)
            .context("QEMU did not exit")
            .map_err(|error| self.folder.explain(&error))
    }

    /// Resets the machine in the middle of what its guest does. It starts anew: the next command waits for that.
    ///
    /// # Errors
    /// When QEMU does not reset it.
    pub fn reset(&mut self) -> Result<()> {
        if let Some(guest) = &mut self.guest {
            guest.starts_anew();
        }
        // Machines here end at a reset otherwise.
        self.qmp
            .execute("set-action", json!({ "reboot": "reset" }))?;
        self.qmp.execute("system_reset", Value::Null)?;
        self.qmp.wait_event("RESET", RESET_LIMIT)?;
        Ok(())
    }

    /// Has the guest switch the machine off, and waits for QEMU's end.
    ///
    /// # Errors
    /// When the guest does not start, or QEMU does not end within a minute, or fails.
    pub fn power_off(&mut self) -> Result<()> {
        let guest = self.guest()?;
        guest.wait_ready()?;
        guest.send("poweroff -f")?;
        let status = self.wait_exit(Duration::from_secs(60))?;
        self.ensure_success(status)
    }

    fn ensure_success(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        Err(self.folder.explain(&anyhow!("QEMU failed ({status})")))
    }
}

fn ensure_program(path: &Path) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    Err(Failure::new(
        format!("there is no QEMU at {}", path.display()),
        "Build one: cargo xtask qemu",
    )
    .into())
}

/// A path as the value of one of QEMU's options, where a comma ends a value unless it is doubled.
#[must_use]
pub fn option_value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_qemu_is_an_error_with_a_remedy() {
        let qemu = Path::new("/nonexistent/qemu");
        let machine = MachineBuilder::new(qemu, MachineType::Pc, &Firmware::own());
        let text = vgpu_terminal::describe(&machine.start().unwrap_err());
        assert_eq!(
            text,
            "error: there is no QEMU at /nonexistent/qemu\nmend:  Build one: cargo xtask qemu\n"
        );
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(option_value(Path::new("/tmp/a,b/c")), "/tmp/a,,b/c");
    }
}
