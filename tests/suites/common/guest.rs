//! The Linux guest, and what it says of the device.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::kernel_module::{Builder, HEADERS};
use vgpu_bed::machine::Machine;
use vgpu_bed::sanitized_kernel::SanitizedKernel;
use vgpu_bed::steps::Steps;
use vgpu_conformance::{CASES, Identity};
use vgpu_pci::capability::PortType;

use super::Place;

/// A path that `cargo xtask test` gives.
pub(crate) fn environment(name: &str) -> Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set; run these tests with: cargo xtask test"))
}

/// The guest with the project's programs.
pub(crate) fn image(cache: &Cache, steps: &Steps) -> Result<GuestImage> {
    let programs = environment("VGPU_STUB_PROGRAMS")?;
    let files = ["vgpu-stub", "vgpu-conformance", "vgpu-hostile"];
    let files = files.map(|name| (name, programs.join(name)));
    let programs = files
        .each_ref()
        .map(|(name, file)| GuestProgram { name, file });
    GuestImage::assemble(cache, &programs, steps)
}

/// The guest with [`vgpu_bed::ping::VGPU`], and the driver that attacks.
pub(crate) fn image_with_cuda(cache: &Cache, steps: &Steps) -> Result<GuestImage> {
    let vgpu = environment("VGPU_STUB_CUDA_PROGRAMS")?.join("vgpu");
    let hostile = environment("VGPU_STUB_PROGRAMS")?.join("vgpu-hostile-driver");
    let others = [GuestProgram {
        name: "vgpu-hostile-driver",
        file: &hostile,
    }];
    vgpu_bed::ping::image(&vgpu, &others, cache, steps)
}

/// How the guest starts a CUDA program, with our library.
pub(crate) const CUDA: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/cuda-add";

/// What [`image_with_cuda`] is to have beside it.
const DRIVEN: [&str; 3] = ["cuda-add", "cuda-canaries", "libcuda.so"];

/// The guest of [`image_with_cuda`], with CUDA programs, the library, and the driver as `/bin/vgpu.ko`.
pub(crate) fn image_with_driver(cache: &Cache, steps: &Steps) -> Result<GuestImage> {
    let image = image_with_cuda(cache, steps)?;
    with_driver(&image, &GuestImage::suite(), HEADERS, cache, steps)
}

/// The same with the kernel of another release, of which `headers` is the package.
pub(crate) fn image_with_driver_on(
    release: &str,
    headers: &str,
    cache: &Cache,
    steps: &Steps,
) -> Result<GuestImage> {
    let release = Suite::debian(release);
    let image = image_with_cuda(cache, steps)?.with_kernel_of(cache, &release, steps)?;
    with_driver(&image, &release, headers, cache, steps)
}

/// The same with a kernel that checks itself.
pub(crate) fn image_with_driver_sanitized(cache: &Cache, steps: &Steps) -> Result<GuestImage> {
    let kernel = SanitizedKernel::build(cache, steps)?;
    let image = image_with_cuda(cache, steps)?.with_kernel_in(cache, kernel.root(), steps)?;
    driven(
        &image.as_bz_image(),
        &Builder::sanitized(cache, &kernel)?,
        steps,
    )
}

fn with_driver(
    image: &GuestImage,
    release: &Suite,
    headers: &str,
    cache: &Cache,
    steps: &Steps,
) -> Result<GuestImage> {
    let builder = Builder::new(cache, release, headers, steps)?;
    ensure!(
        builder.release() == image.release(),
        "the guest's kernel is {}, and the headers are of {}: delete the folders packages, roots and kernel-builders of {}",
        image.release(),
        builder.release(),
        cache.path().display()
    );
    driven(image, &builder, steps)
}

/// This image with the driver, as `builder` builds it, and what computes by it.
fn driven(image: &GuestImage, builder: &Builder, steps: &Steps) -> Result<GuestImage> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/driver");
    let module = builder.module(&source, "vgpu.ko", steps)?;
    let programs = environment("VGPU_STUB_CUDA_PROGRAMS")?;
    let mut files: Vec<_> = DRIVEN.map(|name| (name, programs.join(name))).into();
    files.push(("vgpu.ko", module));
    let programs: Vec<_> = files
        .iter()
        .map(|(name, file)| GuestProgram { name, file })
        .collect();
    image.with_programs(&programs)
}

/// Runs a command in the guest, which must succeed.
pub(crate) fn run(machine: &mut Machine, command: &str) -> Result<String> {
    machine.guest()?.run(command)?.success()
}

/// The address that firmware or Linux chose is not ours to fix.
fn without_addresses(lspci: &str) -> String {
    let mut text = String::new();
    for line in lspci.lines() {
        let line = match line.split_once(" at ") {
            Some((before, after)) if line.contains("Region 0") => {
                let (_, kind) = after.split_once(' ').unwrap_or(("", after));
                format!("{before} at ADDRESS {kind}")
            }
            _ => line.to_owned(),
        };
        // The BAR in the dump's second line.
        let line = match line.strip_prefix("10: ") {
            Some(bytes) => format!("10: AA AA AA AA{}", bytes.get(11..).unwrap_or_default()),
            None => line,
        };
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// What Linux prints about the device at `place` is the file `name`.
pub(crate) fn lists_as_golden(machine: &mut Machine, name: &str) -> Result<()> {
    let lspci = run(machine, "lspci -d 1af4:1111 -nnvvvxxx")?;
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, without_addresses(&lspci));
    });
    Ok(())
}

/// The suite as a program in a guest, on a device of this identity.
pub(crate) fn conforms(machine: &mut Machine, place: Place, identity: &Identity) -> Result<()> {
    // What a guest cannot do by itself, and what the device has not.
    let (sits, skipped) = match identity.port_type {
        Some(PortType::RootComplexIntegratedEndpoint) => ("", 2),
        Some(PortType::Endpoint) => (" --behind-port", 2),
        None => (" --conventional", 3),
    };
    let by_vfio = if identity.by_vfio { " --by-vfio" } else { "" };
    let command = format!("vgpu-conformance {}{sits}{by_vfio}", place.address());
    let report = machine.guest()?.run(&command)?;
    println!("{}{}", report.stdout, report.stderr);
    let report = report.success()?;
    let count = |word| report.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!(
        (count("passed"), count("skipped")),
        (CASES.len() - skipped, skipped),
        "{report}"
    );
    Ok(())
}
