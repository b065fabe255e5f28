//! A Linux kernel that checks itself, and so the guest's driver: KASAN, lockdep, kmemleak. Built of Debian's source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use vgpu_terminal::OrMend;

use crate::cache::{Cache, digest};
use crate::debian::{self, Suite};
use crate::host_packages::{self, Package};
use crate::root_folder::{self, WORK};
use crate::steps::{Step, Steps};

/// The release whose kernel and compiler these are.
const SUITE: &str = "bookworm";
/// The package with its kernel's source.
pub const SOURCE: &str = "linux-source-6.1";

/// What builds it.
const TOOLS: [&str; 10] = [
    "bc",
    "bison",
    "flex",
    "gcc",
    "kmod",
    "libc6-dev",
    "libelf-dev",
    "lz4",
    "make",
    "perl",
];

/// What is asked for; all else that can be left out is left out.
const CONFIG: &str = include_str!("../guest/sanitized.config");
const CONFIG_NAME: &str = "sanitized.config";

/// What of the built tree modules are built by. Most of it is two gigabytes of objects and of other machines' drivers.
const KEPT: [&str; 8] = [
    ".config",
    "Makefile",
    "Module.symvers",
    "arch/x86/Makefile",
    "arch/x86/include",
    "include",
    "scripts",
    "tools/objtool/objtool",
];

/// That kernel, in a root folder of its release, as its packages would be there.
#[derive(Debug, Clone)]
pub struct SanitizedKernel {
    root: PathBuf,
    key: String,
}

impl SanitizedKernel {
    /// It is built once for each configuration and source: by nine minutes of a processor.
    ///
    /// # Errors
    /// When a package cannot be fetched, or it does not build.
    pub fn build(cache: &Cache, steps: &Steps) -> Result<Self> {
        root_folder::ensure_programs(steps)?;
        host_packages::ensure(&[Package::program("xz-utils", "xz")], steps)?;
        let suite = Suite::debian(SUITE);
        let source = debian::unpacked(cache, &suite, &[SOURCE], steps)?;
        let tools = debian::root(cache, &suite, &TOOLS, steps)?;
        let versions = fs::read_to_string(source.with_file_name("VERSIONS"))?;
        let config: Vec<_> = options(CONFIG).collect();
        let key = digest(format!("{versions}{config:?}{TOOLS:?}{KEPT:?}"));
        let entry = cache.entry("sanitized-kernels", &key, |dir| {
            let root = dir.join("root");
            let archive = source.join(format!("usr/src/{SOURCE}.tar.xz"));
            steps.step("Unpack Linux and what builds it", |step| {
                unpack(&archive, &tools, &root, step)
            })?;
            steps.step("Configure Linux with KASAN, lockdep and kmemleak", |step| {
                configure(&root, step)
            })?;
            let what = format!("Build {SOURCE} with KASAN, lockdep and kmemleak");
            steps.step(&what, |step| make(&root, step))?;
            keep(&root.join("usr/src").join(SOURCE))?;
            // As beside a folder of unpacked packages: by it others know that it is another kernel.
            Ok(fs::write(dir.join("VERSIONS"), &key)?)
        })?;
        Ok(Self {
            root: entry.join("root"),
            key,
        })
    }

    /// The root folder: its `boot` and `lib/modules` are as Debian's packages of a kernel and of its headers have them.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What tells this kernel from others.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn unpack(source: &Path, tools: &Path, root: &Path, step: &Step) -> Result<()> {
    fs::create_dir(root)?;
    root_folder::unpack(tools, root, step)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(source);
    tar.args(["--no-same-owner", "--directory"]);
    step.run(tar.arg(root.join("usr/src")))
}

/// Runs a script in the root folder, where the kernel's source is.
fn script(root: &Path, script: &str, step: &Step) -> Result<()> {
    let work = tempfile::tempdir()?;
    fs::write(work.path().join(CONFIG_NAME), CONFIG)?;
    let script = format!("set -e; cd /usr/src/{SOURCE}; {script}");
    root_folder::run(root, work.path(), &["sh", "-c", &script], step)
}

fn configure(root: &Path, step: &Step) -> Result<()> {
    let make = format!("make KCONFIG_ALLCONFIG={WORK}/{CONFIG_NAME} allnoconfig");
    script(root, &make, step)?;
    let made = root.join("usr/src").join(SOURCE).join(".config");
    let missing = missing(CONFIG, &fs::read_to_string(made)?);
    ensure!(
        missing.is_empty(),
        "Linux does not take {}",
        missing.join(", ")
    );
    Ok(())
}

/// The lines of a configuration that are no comments.
fn options(config: &str) -> impl Iterator<Item = &str> {
    config.lines().filter(|line| line.starts_with("CONFIG_"))
}

/// The lines of a configuration that are not in the one that was made of it: something that they need is missing.
fn missing<'a>(asked: &'a str, made: &str) -> Vec<&'a str> {
    options(asked)
        .filter(|line| !made.lines().any(|other| other == *line))
        .collect()
}

fn make(root: &Path, step: &Step) -> Result<()> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let make = format!(
        "make --jobs={jobs} bzImage modules; make modules_install; \
         cp arch/x86/boot/bzImage /boot/vmlinuz-$(make --silent kernelrelease)"
    );
    Ok(script(root, &make, step).or_mend(
        "Read the log; it takes 4 GB in the cache while it is built, and 2 GB of memory.",
    )?)
}

/// Leaves in the kernel's tree what modules need.
fn keep(tree: &Path) -> Result<()> {
    let all = tree.with_file_name("all");
    fs::rename(tree, &all)?;
    for path in KEPT {
        let to = tree.join(path);
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        fs::rename(all.join(path), to).with_context(|| format!("the kernel has no {path}"))?;
    }
    Ok(fs::remove_dir_all(all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_leaves_out_is_found() {
        let asked = "# why\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=\"c\"\n";
        let made = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"c\"\nCONFIG_D=y\n";
        assert_eq!(missing(asked, made), ["CONFIG_B=y"]);
        assert!(missing(asked, asked).is_empty());
    }

    #[test]
    fn only_what_modules_need_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("linux-source-6.1");
        for path in KEPT {
            fs::create_dir_all(tree.join(path)).unwrap();
        }
        fs::create_dir_all(tree.join("drivers")).unwrap();
        keep(&tree).unwrap();
        assert!(KEPT.iter().all(|path| tree.join(path).exists()));
        assert!(!tree.join("drivers").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::remove_dir(tree.join("Makefile")).unwrap();
        let error = keep(&tree).unwrap_err().to_string();
        assert_eq!(error, "the kernel has no Makefile");
    }
}
