//! libcuda, and the programs beside it, for old systems: linked for an old glibc, and checked for that.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::FileHeader;
use vgpu_bed::cache::Cache;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::process;
use vgpu_bed::static_program;
use vgpu_bed::steps::Steps;
use vgpu_terminal::Failure;

use crate::checkout;
use crate::pypi;

/// What links for an old glibc: zig, and cargo's way to it.
const ZIG: &str = "0.17.1";
const CARGO_ZIGBUILD: &str = "0.24.1";

const PACKAGES: &[Package] = &[
    Package::program("python3", "python3"),
    Package::python_module("python3-venv", "ensurepip"),
];

/// The oldest glibc that they run on.
const GLIBC: Version = Version([2, 17, 0]);

/// What is in packages: each a package of the workspace, and the file that it makes. They load libraries while they run, the
/// library apart, so none is static.
const PACKAGED: [(&str, &str); 4] = [
    LIBRARY,
    ("vgpu-command", "vgpu"),
    ("vgpud", "vgpud"),
    ("vgpu-ptxas", "vgpu-ptxas"),
];
const LIBRARY: (&str, &str) = ("vgpu-libcuda", "libcuda.so");

/// Builds `libcuda.so` for glibc 2.17 and later, whatever this machine has, and returns its path.
///
/// # Errors
///
/// It does not build, or needs a newer glibc.
pub(super) fn library(steps: &Steps) -> Result<PathBuf> {
    Ok(build(&[LIBRARY], steps)?.join(LIBRARY.1))
}

/// Builds all that is in packages likewise, and returns the folder with it.
///
/// # Errors
///
/// It does not build, or needs a newer glibc.
pub(crate) fn programs(steps: &Steps) -> Result<PathBuf> {
    build(&PACKAGED, steps)
}

fn build(files: &[(&str, &str)], steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(PACKAGES, steps)?;
    let cache = Cache::open()?;
    let name = format!("zig-{ZIG}-{CARGO_ZIGBUILD}");
    let packages = [
        format!("ziglang=={ZIG}"),
        format!("cargo-zigbuild=={CARGO_ZIGBUILD}"),
    ];
    let venv = steps.step("Install the linker", |step| {
        pypi::environment(&cache, &name, &packages, "cargo-zigbuild", step)
    })?;
    let names: Vec<_> = files.iter().map(|(_, file)| *file).collect();
    let folder = steps.step(&format!("Build {}", names.join(", ")), |step| {
        // It looks for zig on the path.
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(
            [venv.join("bin")]
                .into_iter()
                .chain(env::split_paths(&path)),
        )?;
        let target = format!("x86_64-unknown-linux-gnu.{GLIBC}");
        let mut cargo = process::cargo();
        cargo
            .args(["zigbuild", "--locked", "--release", "--target", &target])
            .env("PATH", path)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                static_program::remapped().join("\u{1f}"),
            )
            .current_dir(checkout());
        for (package, _) in files {
            cargo.args(["--package", package]);
        }
        step.run(&mut cargo)?;
        Ok(process::target(checkout()).join("x86_64-unknown-linux-gnu/release"))
    })?;
    files
        .iter()
        .try_for_each(|(_, file)| check(&folder.join(file)))?;
    Ok(folder)
}

/// A version of glibc, such as 2.17 or 2.2.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}")?;
        match patch {
            0 => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

impl Version {
    /// Of what a symbol's version is called; `None` for those of other libraries.
    fn of(name: &str) -> Option<Self> {
        let mut version = [0; 3];
        let mut parts = name.strip_prefix("GLIBC_")?.split('.');
        for number in &mut version {
            match parts.next() {
                Some(part) => *number = part.parse().ok()?,
                None => break,
            }
        }
        Some(Self(version))
    }
}

/// The versions of symbols that an ELF file needs of other libraries.
fn needs(file: &Path) -> Result<BTreeSet<String>> {
    let data = fs::read(file)?;
    let header = FileHeader64::<Endianness>::parse(&*data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, &*data)?;
    let mut names = BTreeSet::new();
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, &*data)? else {
        return Ok(names);
    };
    let strings = sections.strings(endian, &*data, link)?;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = version.name(endian, strings)?;
            names.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(names)
}

/// Checks that a file loads on the oldest glibc.
fn check(library: &Path) -> Result<()> {
    let needs = needs(library).with_context(|| format!("cannot read {}", library.display()))?;
    // What glibc keeps to itself has no number.
    let fits = |name: &&String| match name.strip_prefix("GLIBC_") {
        Some(_) => Version::of(name).is_some_and(|version| version <= GLIBC),
        None => true,
    };
    let above: Vec<_> = needs.iter().filter(|name| !fits(name)).cloned().collect();
    if needs.is_empty() || !above.is_empty() {
        let what = match needs.is_empty() {
            true => "says of no library what it needs".into(),
            false => format!("needs {}, above glibc {GLIBC}", above.join(", ")),
        };
        return Err(Failure::new(
            format!("{} {what}", library.display()),
            "Build it by `cargo xtask cuda build`, with a linker for that glibc.",
        )
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_order() {
        let of = |name| Version::of(name).unwrap();
        assert!(of("GLIBC_2.2.5") < of("GLIBC_2.17"));
        assert!(of("GLIBC_2.17") == GLIBC && of("GLIBC_2.34") > GLIBC);
        assert_eq!(of("GLIBC_2.2.5").to_string(), "2.2.5");
        assert_eq!(GLIBC.to_string(), "2.17");
        for other in ["GLIBC_PRIVATE", "GCC_3.0", "GLIBC_2.x"] {
            assert_eq!(Version::of(other), None);
        }
    }

    /// This program is linked for the glibc of this machine, which is newer.
    #[test]
    fn what_needs_a_newer_glibc_is_refused() {
        let own = env::current_exe().unwrap();
        assert!(needs(&own).unwrap().contains("GLIBC_2.34"));
        let error = format!("{:#}", check(&own).unwrap_err());
        assert!(error.contains("GLIBC_2.34"), "{error}");
        assert!(!error.contains("GLIBC_2.2.5"), "{error}");
        assert!(check(Path::new("/etc/hostname")).is_err());
    }
}
