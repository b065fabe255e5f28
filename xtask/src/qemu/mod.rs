//! `cargo xtask qemu`: QEMU with the device.

mod apply;
mod build;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tempfile::NamedTempFile;
use vgpu_bed::cache::{Cache, digest};
use vgpu_bed::debian::{self, Suite};
use vgpu_bed::process;
use vgpu_bed::steps::Steps;

use crate::checkout;
pub(crate) use build::Variant;
use tree::Tree;

const EXAMPLES: &str = "\
Examples:
  cargo xtask qemu                             the QEMU of this machine's Debian or Ubuntu
  cargo xtask qemu --suite trixie              the QEMU of Debian 13
  cargo xtask qemu --source ~/qemu --apply     put the device into a source tree of yours
  cargo xtask qemu --source ~/qemu --revert    take it out again
  cargo xtask qemu --xen                       the device model for xl
  cargo xtask qemu --sanitize                  with AddressSanitizer and UndefinedBehaviorSanitizer

The source and the build are kept in ~/.cache/vgpu-stub (VGPU_STUB_CACHE names another folder).
QEMU finds its firmware where the packages seabios and qemu-system-data have it.
xl takes the binary by device_model_override in the VM's configuration.";

/// Build QEMU with the device, and print the path of the binary
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Take the source of a release of Debian, such as bookworm [default: this machine's]
    #[arg(long, value_name = "CODENAME")]
    suite: Option<String>,

    /// Take an unpacked source of QEMU, 4.2 to 11. The device is put into it
    #[arg(long, value_name = "DIR", conflicts_with = "suite")]
    source: Option<PathBuf>,

    /// Only put the device into the source, and print the path of the source
    #[arg(long)]
    apply: bool,

    /// Only take the device out of the source, which is then as it was
    #[arg(long, conflicts_with = "apply")]
    revert: bool,

    /// Build the device model that xl can use: with Xen, VNC, and all devices
    #[arg(long, conflicts_with_all = ["apply", "revert"])]
    xen: bool,

    /// Build it with the sanitizers for addresses and for undefined behaviour
    #[arg(long, conflicts_with_all = ["apply", "revert", "xen"])]
    sanitize: bool,

    /// Print a JSON object with the path in place of the path
    #[arg(long)]
    json: bool,
}

/// Where the source of QEMU comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The source package of a release.
    Suite(Suite),
    /// A folder of the user's.
    Dir(PathBuf),
}

/// A QEMU with the device.
#[derive(Debug)]
pub(crate) struct Binary {
    /// `target/qemu/7.2.22/qemu-system-x86_64`, which no other checkout changes.
    pub(crate) path: PathBuf,
    /// The full version, such as `7.2.22`.
    pub(crate) release: String,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    let source = match (&options.source, &options.suite) {
        (Some(dir), _) => Source::Dir(dir.clone()),
        (None, Some(codename)) => Source::Suite(Suite::debian(codename)),
        (None, None) => Source::Suite(Suite::host()?),
    };
    let (name, release, path) = if options.revert {
        let tree = source.tree(&cache, steps)?;
        let _lock = lock(&cache, &tree)?;
        apply::revert(&tree)?;
        ("source", tree.release, tree.root)
    } else if options.apply {
        let tree = source.tree(&cache, steps)?;
        let library = build_library(steps)?;
        let _lock = lock(&cache, &tree)?;
        apply::apply(&tree, &attachment(), &library)?;
        ("source", tree.release, tree.root)
    } else {
        let variant = match (options.xen, options.sanitize) {
            (true, _) => Variant::Xen,
            (_, true) => Variant::Sanitized,
            _ => Variant::Plain,
        };
        let binary = build(&cache, &source, variant, steps)?;
        ("binary", binary.release, binary.path)
    };
    if options.json {
        println!("{}", json!({ name: path, "version": release }));
    } else {
        println!("{}", path.display());
    }
    Ok(())
}

/// Builds QEMU with the device; in seconds when it was built before.
pub(crate) fn build(
    cache: &Cache,
    source: &Source,
    variant: Variant,
    steps: &Steps,
) -> Result<Binary> {
    let tree = source.tree(cache, steps)?;
    build::install_packages(variant, steps)?;
    let library = build_library(steps)?;
    // Held while the binary is copied, too: another checkout may want to build its own from this tree.
    let _lock = lock(cache, &tree)?;
    apply::apply(&tree, &attachment(), &library)?;
    let built = build::build(cache, &tree, variant, steps)?;
    let suffix = variant.suffix();
    let dir = checkout().join(format!("target/qemu/{}{suffix}", tree.release));
    let path = copy_into(&built, &dir)?;
    Ok(Binary {
        path,
        release: tree.release,
    })
}

impl Source {
    fn tree(&self, cache: &Cache, steps: &Steps) -> Result<Tree> {
        match self {
            Self::Suite(suite) => Tree::open(&debian::source(cache, suite, "qemu", steps)?.dir),
            Self::Dir(dir) => Tree::open(dir),
        }
    }
}

fn attachment() -> PathBuf {
    checkout().join("host/qemu")
}

/// Keeps other checkouts from changing `tree` at the same time.
fn lock(cache: &Cache, tree: &Tree) -> Result<vgpu_bed::cache::Lock> {
    cache.lock(&format!(
        "qemu-{}",
        digest(tree.root.as_os_str().as_encoded_bytes())
    ))
}

/// Builds the device model as a static library.
fn build_library(steps: &Steps) -> Result<PathBuf> {
    let target = checkout().join("target");
    steps.step("Build the device model", |step| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout()).args([
            "build",
            "--release",
            "--package",
            "vgpu-qemu",
            "--lib",
        ]);
        step.run(cargo.arg("--target-dir").arg(&target))
    })?;
    Ok(target.join("release/libvgpu_qemu.a"))
}

/// Copies `binary` into `dir`, at once: a running process keeps the file that it was started from.
fn copy_into(binary: &Path, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(binary.file_name().unwrap_or_default());
    let copy = || -> Result<()> {
        fs::create_dir_all(dir)?;
        let copy = NamedTempFile::new_in(dir)?;
        fs::copy(binary, copy.path())?;
        copy.persist(&path)?;
        Ok(())
    };
    copy().with_context(|| format!("cannot copy {} to {}", binary.display(), path.display()))?;
    Ok(path)
}
