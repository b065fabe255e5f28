//! A host with libvirt and a VM of it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::libvirt::Host;
use vgpu_bed::steps::Steps;

use crate::common::environment;

/// How long a guest may take to start, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// What the guest says of its device.
const WELL: &str = "guest: well";
const HEARD: &str = "guest: heard";
const WRONG: &str = "guest: WRONG";

/// A host with the program, and with this QEMU too where one is given.
pub(crate) fn host(qemu: Option<&Path>) -> Result<Host> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let program = environment("VGPU_STUB_PROGRAMS")?.join("vgpu-stub");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("libvirt/guest.sh");
    let in_guest = [("vgpu-stub", &program), ("guest", &script)];
    let in_guest = in_guest.map(|(name, file)| GuestProgram { name, file });
    let image = GuestImage::assemble(&cache, &in_guest, &steps)?;
    let emulator = program.with_file_name("vgpu-emulator");
    let own = [program.as_path(), &emulator];
    let programs: Vec<&Path> = qemu.into_iter().chain(own).collect();
    Host::start(&cache, &programs, &image, &steps)
}

/// A VM on a host.
pub(crate) struct Vm<'a> {
    pub(crate) host: &'a mut Host,
    pub(crate) name: &'static str,
    /// What the guest prints.
    console: PathBuf,
    /// The socket for what is typed there.
    typed: PathBuf,
    /// It stays open: QEMU drops what it has not read when it is closed.
    connection: Option<UnixStream>,
}

impl<'a> Vm<'a> {
    pub(crate) fn new(host: &'a mut Host, name: &'static str) -> Self {
        let [console, typed] =
            ["console", "typed"].map(|what| host.folder().join(format!("{name}.{what}")));
        Self {
            host,
            name,
            console,
            typed,
            connection: None,
        }
    }

    /// What a user has in a domain besides the device: this guest, and a console. Both are emulated.
    pub(crate) fn elements(&self, machine: &str) -> String {
        let [kernel, initramfs] = ["kernel", "initramfs"]
            .map(|what| self.host.folder().join(format!("{}.{what}", self.name)));
        format!(
            "<name>{}</name>
             <memory unit='MiB'>256</memory>
             <os>
               <type arch='x86_64' machine='{machine}'>hvm</type>
               <kernel>{}</kernel>
               <initrd>{}</initrd>
               <cmdline>console=ttyS0 quiet panic=-1 rdinit=/bin/guest</cmdline>
             </os>
             <features><acpi/></features>
             <devices>
               <serial type='unix'><source mode='bind' path='{}'/><log file='{}'/></serial>
             </devices>",
            self.name,
            kernel.display(),
            initramfs.display(),
            self.typed.display(),
            self.console.display(),
        )
    }

    /// Writes a domain of the book's, without what only KVM has, and returns the file's path.
    pub(crate) fn write(&self, domain: &str, machine: &str) -> Result<String> {
        let domain = domain
            .replace("type='kvm'", "type='qemu'")
            .replace("NAME", self.name)
            .replacen('…', &self.elements(machine), 1);
        let path = |what: &str| self.host.folder().join(format!("{}.{what}", self.name));
        // libvirt gives a file to one label at a time.
        fs::copy(self.host.kernel(), path("kernel"))?;
        fs::copy(self.host.initramfs(), path("initramfs"))?;
        let path = path("xml");
        fs::write(&path, domain)?;
        Ok(path.display().to_string())
    }

    pub(crate) fn virsh(&mut self, line: &str) -> Result<String> {
        self.host.run(&format!("virsh {line}"))
    }

    /// Waits until the guest has said so often that all is well.
    pub(crate) fn well(&self, times: usize) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let said = self.said();
            ensure!(!said.contains(WRONG), "the device is not well: {said}");
            if said.matches(WELL).count() == times {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self
                    .host
                    .explain(&anyhow!("the guest does not start: {said}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the guest has printed.
    fn said(&self) -> String {
        let said = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Types a line in the guest.
    fn tell(&mut self, line: &str) -> Result<()> {
        if self.connection.is_none() {
            let path = self.typed.display();
            let connection = UnixStream::connect(&self.typed)
                .with_context(|| format!("cannot connect to {path}"))?;
            // A guest waits where nobody reads what it prints.
            let mut printed = connection.try_clone()?;
            thread::spawn(move || io::copy(&mut printed, &mut io::sink()));
            self.connection = Some(connection);
        }
        let before = self.said().matches(HEARD).count();
        let deadline = Instant::now() + LIMIT;
        let connection = self.connection.as_ref().context("not connected")?;
        let mut connection = connection.try_clone()?;
        // What comes too early is lost, and an empty line does nothing.
        while self.said().matches(HEARD).count() == before {
            ensure!(Instant::now() < deadline, "the guest hears nothing");
            writeln!(connection)?;
            thread::sleep(Duration::from_millis(300));
        }
        Ok(writeln!(connection, "{line}")?)
    }

    /// Everything that happens to a domain whose file is `xml`: it is defined, started, rebooted by its own, by libvirt and by
    /// force, destroyed, and started again. The guest finds the device well each time.
    pub(crate) fn lives(&mut self, xml: &str) -> Result<()> {
        let name = self.name;
        self.virsh(&format!("define {xml}"))?;
        self.virsh(&format!("start {name}"))?;
        self.well(1)?;
        self.tell("busybox reboot -f")?;
        self.well(2)?;
        // The guest switches itself off, as it would where its button is pressed; libvirt starts it again.
        self.virsh(&format!("reboot {name}"))?;
        self.tell("busybox poweroff -f")?;
        self.well(3)?;
        self.virsh(&format!("destroy {name}"))?;
        self.connection = None;
        self.virsh(&format!("start {name}"))?;
        // Its log begins anew.
        self.well(1)?;
        self.tell("busybox poweroff -f")?;
        self.ends()
    }

    /// Waits until it is off, and is forgotten.
    pub(crate) fn ends(&mut self) -> Result<()> {
        let name = self.name;
        self.host.run(&format!(
            "timeout 60 sh -c \"until virsh domstate {name} | grep -q 'shut off'; do sleep 0.1; done\""
        ))?;
        self.virsh(&format!("undefine {name}")).map(drop)
    }
}
