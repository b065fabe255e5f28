//! Machines whose guests have Python, tinygrad, our library and its driver: what they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use vgpu_bed::cache::Cache;
use vgpu_bed::daemon::Daemon;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::initramfs::Initramfs;
use vgpu_bed::kernel_module::{Builder, HEADERS};
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::own_kernel::OwnKernel;
use vgpu_bed::python::{self, Site};
use vgpu_bed::server::{Server, qemu_device};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_bed::{debian::Suite, process};

use crate::checkout;
use crate::cuda::Python;
use crate::qemu::{self, Source, Variant};

/// The folder of the guest with scripts of tests/programs.
pub(crate) const SCRIPTS: &str = "programs";

/// What each script imports.
const NETS: &str = "tinygrad_nets.py";

/// What is built.
const PACKAGES: [&str; 5] = [
    "vgpu-command",
    "vgpu-libcuda",
    "vgpud",
    "vgpu-stub",
    "vgpu-emulator",
];

/// The guest's driver.
const MODULE: &str = "vgpu.ko";

/// Memory of a machine, in MiB: its files are in there, twice as it boots.
const MEMORY_MIB: u32 = 512;

/// Of the bindings that tinygrad brings, 15 MB, those for CUDA.
const BINDINGS: &str = "tinygrad/runtime/autogen";
const NEEDED_BINDINGS: [&str; 4] = ["__init__.py", "cuda.py", "nvjitlink.py", "nvrtc.py"];

/// All that they need.
pub(crate) struct Prepared {
    built: PathBuf,
    python: Python,
    image: GuestImage,
    qemu: Qemu,
}

enum Qemu {
    Stock(StockQemu),
    Built(qemu::Binary, Firmware),
}

/// Whether the guest needs a file of tinygrad's.
fn needs(path: &Path) -> bool {
    match path.strip_prefix(BINDINGS) {
        Ok(name) if name.as_os_str().is_empty() => true,
        Ok(name) => NEEDED_BINDINGS
            .iter()
            .any(|needed| name == Path::new(needed)),
        Err(_) => path.starts_with("tinygrad") && !path.starts_with("tinygrad/viz"),
    }
}

impl Prepared {
    /// Gets all of it ready, by a profile of cargo's, with a script, and with Debian's kernel where the guest is to have no other:
    /// what is fetched and what is built at the same time.
    ///
    /// # Errors
    ///
    /// It cannot be fetched, or does not build.
    pub(crate) fn new(
        build_qemu: bool,
        profile: &str,
        script: &str,
        kernel: Option<&OwnKernel>,
        steps: &Steps,
    ) -> Result<Self> {
        let cache = Cache::open()?;
        let (built, fetched, python) = thread::scope(|scope| {
            let panicked = |_| Err(anyhow!("a thread panicked"));
            let fetched = scope.spawn(|| fetch(build_qemu, kernel, &cache, steps));
            let python = scope.spawn(|| Python::tinygrad(&cache, steps));
            let built = build(profile, steps);
            let fetched = fetched.join().unwrap_or_else(panicked);
            let python = python
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a thread panicked")));
            (built, fetched, python)
        });
        let (built, (image, module, qemu), python) = (built?, fetched?, python?);
        let site = Site {
            folder: python.site(),
            needs,
        };
        let image = python::image(&image, site, &cache, steps)?;
        let image = image.with_files(&own(&built, module, script)?)?;
        Ok(Self {
            built,
            python,
            image,
            qemu,
        })
    }

    /// The same with more files in the guest.
    ///
    /// # Errors
    ///
    /// A file is too large.
    pub(crate) fn with_files(mut self, files: &Initramfs) -> Result<Self> {
        self.image = self.image.with_files(files)?;
        Ok(self)
    }

    /// A program that was built.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.built.join(name)
    }

    /// QEMU's version.
    pub(crate) fn qemu(&self) -> &str {
        match &self.qemu {
            Qemu::Stock(qemu) => &qemu.release,
            Qemu::Built(qemu, _) => &qemu.release,
        }
    }

    /// This machine's Python, with tinygrad.
    pub(crate) const fn python(&self) -> &Python {
        &self.python
    }

    /// A machine with a device for each UUID, yet to be started, and the processes with these where they are not QEMU's own.
    ///
    /// # Errors
    ///
    /// Such a process does not start.
    pub(crate) fn host(
        &self,
        uuids: &[&str],
        daemon: &Daemon,
    ) -> Result<(MachineBuilder, Vec<Server>)> {
        let (path, firmware) = match &self.qemu {
            Qemu::Stock(qemu) => (&qemu.path, &Firmware::own()),
            Qemu::Built(qemu, firmware) => (&qemu.path, firmware),
        };
        let mut builder = MachineBuilder::new(path, MachineType::Q35, firmware)
            .shared_memory()
            .memory_mib(MEMORY_MIB)
            .image(&self.image);
        let mut servers = Vec::new();
        for uuid in uuids {
            let device = match &self.qemu {
                Qemu::Stock(_) => {
                    let arguments = daemon.arguments_of(uuid);
                    let server = Server::start(&self.program("vgpu-stub"), arguments)?;
                    let device = qemu_device(server.socket(), &[]);
                    servers.push(server);
                    device
                }
                Qemu::Built(..) => format!("vgpu-stub,{}", daemon.properties_of(uuid)),
            };
            builder = builder.device(&device);
        }
        Ok((builder, servers))
    }
}

/// Builds our programs; gives their folder.
fn build(profile: &str, steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(&[Package::program("build-essential", "cc")], steps)?;
    steps.step("Build vgpu, its library and vgpud", |step| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout());
        cargo.args(["build", "--profile", profile]);
        for package in PACKAGES {
            cargo.args(["--package", package]);
        }
        step.run(&mut cargo)
    })?;
    Ok(process::target(checkout()).join(profile))
}

/// What comes of Debian: the guest, its driver, and QEMU.
fn fetch(
    build_qemu: bool,
    kernel: Option<&OwnKernel>,
    cache: &Cache,
    steps: &Steps,
) -> Result<(GuestImage, Vec<u8>, Qemu)> {
    let image = GuestImage::assemble(cache, &[], steps)?;
    let driver = checkout().join("guest/driver");
    let (image, module) = match kernel {
        Some(kernel) => (kernel.guest(&image), kernel.module(&driver, MODULE, steps)?),
        None => {
            let module = for_debian(&image, &driver, cache, steps)?;
            (image, module)
        }
    };
    let qemu = match build_qemu {
        true => {
            let source = Source::Suite(Suite::host()?);
            let qemu = qemu::build(cache, &source, Variant::Plain, steps)?;
            Qemu::Built(qemu, Firmware::seabios(cache, steps)?)
        }
        false => Qemu::Stock(match StockQemu::system() {
            Some(qemu) => qemu,
            None => StockQemu::fetch(cache, steps)?,
        }),
    };
    Ok((image, module, qemu))
}

/// The driver for the guest's kernel, which is Debian's.
fn for_debian(image: &GuestImage, driver: &Path, cache: &Cache, steps: &Steps) -> Result<Vec<u8>> {
    let builder = Builder::new(cache, &GuestImage::suite(), HEADERS, steps)?;
    ensure!(
        builder.release() == image.release(),
        "the guest's kernel is {}, and the headers are of {}: delete the folders packages, roots and \
         kernel-builders of {}",
        image.release(),
        builder.release(),
        cache.path().display()
    );
    let module = builder.module(driver, MODULE, steps)?;
    fs::read(&module).with_context(|| module.display().to_string())
}

/// What of ours is in the guest.
fn own(built: &Path, module: Vec<u8>, script: &str) -> Result<Initramfs> {
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let mut own = Initramfs::default();
    own.program("bin/vgpu", read(&built.join("vgpu"))?);
    own.file("lib/libcuda.so.1", read(&built.join("libcuda.so"))?);
    own.file(&format!("bin/{MODULE}"), module);
    for name in [NETS, script] {
        let path = checkout().join("tests/programs").join(name);
        own.file(&format!("{SCRIPTS}/{name}"), read(&path)?);
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_tinygrads_bindings_the_guest_has_those_for_cuda() {
        let kept = [
            "tinygrad",
            "tinygrad/runtime",
            BINDINGS,
            "tinygrad/runtime/autogen/cuda.py",
        ];
        let left = [
            "tinygrad/viz/js/x.js",
            "tinygrad/runtime/autogen/am",
            "bin",
            "numpy",
        ];
        assert!(kept.iter().all(|path| needs(Path::new(path))));
        assert!(!left.iter().any(|path| needs(Path::new(path))));
    }
}
