//! The machine as it was once its toolstack was up: a file with its memory, which runs map copy-on-write, and one with
//! the rest of its state.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use vgpu_bed::cache::{Cache, digest};
use vgpu_bed::run_folder::RunFolder;
use vgpu_bed::steps::{Step, Steps};
use vgpu_terminal::OrMend;

use crate::dom0;
use crate::machine::{Machine, Start, host_folder};
use crate::packages::Packages;

/// `eager-fpu`: otherwise programs in dom0 lose their SSE registers while an HVM guest runs. No idle states, no frequency
/// scaling: the emulated machine has none that work.
const XEN_ARGUMENTS: &str = "console=com1 com1=115200,8n1 dom0_mem=1024M,max:1024M dom0_max_vcpus=1 \
                             spec-ctrl=eager-fpu cpuidle=0 cpufreq=none";
/// Without a comma, which would end them.
const KERNEL_ARGUMENTS: &str = "console=hvc0 quiet panic=-1";
/// How long the boot may take: 20 seconds, and more on a busy computer.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// A saved machine.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) memory: PathBuf,
    pub(crate) state: PathBuf,
}

impl Snapshot {
    /// The snapshot of these packages under `qemu`, from the cache, or made now.
    pub(crate) fn get(
        cache: &Cache,
        packages: &Packages,
        qemu: &Path,
        steps: &Steps,
    ) -> Result<Self> {
        let recipe = format!(
            "{}{}{XEN_ARGUMENTS}{KERNEL_ARGUMENTS}{}",
            packages.versions()?,
            dom0::recipe(),
            // Its name says which packages it comes from.
            qemu.display(),
        );
        let key = format!("{}-{}", packages.version, digest(&recipe));
        let entry = cache.entry("xen", &key, |dir| {
            Ok(steps
                .step(&format!("Boot Xen {} once", packages.version), |step| {
                    make(packages, qemu, dir, step)
                })
                .or_mend("See what QEMU and Xen say above; on a busy machine, try again later.")?)
        })?;
        Ok(Self::at(&entry))
    }

    /// The one in this folder.
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            memory: folder.join("memory"),
            state: folder.join("state"),
        }
    }
}

/// Boots the machine, and saves it to `dir`.
fn make(packages: &Packages, qemu: &Path, dir: &Path, step: &Step) -> Result<()> {
    let folder = RunFolder::new()?;
    step.say(&format!("logs in {}", folder.path().display()));
    fs::create_dir(host_folder(&folder))?;
    let initramfs = folder.path().join("dom0.cpio.gz");
    dom0::write(packages, &initramfs).context("cannot make dom0's initramfs")?;
    let xen = folder.path().join("xen");
    unpack_hypervisor(packages, &xen)?;

    let snapshot = Snapshot::at(dir);
    let start = Start::Boot {
        memory: &snapshot.memory,
        xen: &xen,
        xen_arguments: XEN_ARGUMENTS,
        kernel: &packages.kernel_image()?,
        kernel_arguments: KERNEL_ARGUMENTS,
        initramfs: &initramfs,
    };
    step.say("boot");
    let mut machine = Machine::start(qemu, &start, &folder)?;
    machine
        .wait_line("bed: ready", Instant::now() + BOOT_LIMIT)
        .context("dom0 did not start")
        .map_err(|error| folder.explain(&error))?;
    step.say("save");
    machine.save(&snapshot.state)
}

/// QEMU takes Xen as an ELF file alone.
fn unpack_hypervisor(packages: &Packages, path: &Path) -> Result<()> {
    let packed = packages.find(&format!("boot/xen-{}-amd64.gz", packages.version))?;
    let mut packed = GzDecoder::new(File::open(&packed)?);
    io::copy(&mut packed, &mut File::create(path)?).context("cannot unpack the hypervisor")?;
    Ok(())
}
