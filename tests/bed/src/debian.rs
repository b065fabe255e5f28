//! Packages of Debian and Ubuntu, binary and source, unpacked into the cache.
//!
//! Each suite has an apt configuration of its own in the cache, so nothing of the host's apt changes, no privilege is
//! needed, and the suite need not be the host's. What the host's apt says on mirrors and proxies holds here too.

mod apt;
mod suite;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use apt::{ARCHITECTURE, Apt};
pub use suite::Suite;

use crate::cache::{Cache, digest};
use crate::host_packages::{self, Package};
use crate::steps::{Step, Steps};
use vgpu_terminal::OrMend;

/// An unpacked source package.
#[derive(Debug, Clone)]
pub struct Source {
    /// The package's version, such as `1:7.2+dfsg-7+deb12u18`.
    pub version: String,
    /// The unpacked tree, with Debian's patches applied.
    pub dir: PathBuf,
}

/// The folder with the contents of exactly these `packages` of `suite`, without their dependencies.
///
/// They are fetched once: delete the folder `packages` of the cache to get newer versions. The file `VERSIONS` beside
/// the returned folder says which versions it holds.
///
/// # Errors
/// When a package is unknown, or cannot be fetched or unpacked.
pub fn unpacked(cache: &Cache, suite: &Suite, packages: &[&str], steps: &Steps) -> Result<PathBuf> {
    let mut names: Vec<_> = packages.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    let key = format!("{suite}-{}", digest(names.join(" ")));
    let what = match names.as_slice() {
        few @ ([_] | [_, _] | [_, _, _]) => few.join(", "),
        many => format!("{} packages", many.len()),
    };
    unpack_once(cache, suite, &key, &what, steps, |_, _| Ok(names.clone()))
}

/// The folder with the contents of `packages` of `suite` and of all that they depend on, and so on down to the C
/// library; without what they recommend. They are fetched once, as in [`unpacked`].
///
/// Nothing is installed, so no package's scripts run: what they would make is not there.
///
/// # Errors
/// When a package is unknown, or one cannot be fetched or unpacked.
pub fn unpacked_with_dependencies(
    cache: &Cache,
    suite: &Suite,
    packages: &[&str],
    steps: &Steps,
) -> Result<PathBuf> {
    let name = match packages {
        [package] => (*package).to_string(),
        several => digest(several.join(" ")),
    };
    let key = format!("{suite}-{name}-with-dependencies");
    let what = format!("{} with what it needs", packages.first().unwrap_or(&""));
    unpack_once(cache, suite, &key, &what, steps, |apt, step| {
        // To this apt nothing is installed, so its plan has everything.
        let mut plan = apt.command("apt-get");
        plan.args(["install", "--simulate", "--no-install-recommends"])
            .args(packages);
        Ok(planned_packages(&step.output(&mut plan)?))
    })
}

/// A tar archive of the root folder of a minimal `suite`: its essential packages are installed, and `packages` with what they
/// depend on. It is made once: delete the folder `roots` of the cache to get newer packages.
///
/// # Errors
/// When a package cannot be fetched or installed.
pub fn root(cache: &Cache, suite: &Suite, packages: &[&str], steps: &Steps) -> Result<PathBuf> {
    let key = format!("{suite}-{}", digest(packages.join(" ")));
    let entry = cache.entry("roots", &key, |dir| {
        let mmdebstrap = Package::program("mmdebstrap", "mmdebstrap");
        host_packages::ensure(&[suite.keyring(), mmdebstrap], steps)?;
        let name = suite.full_name();
        steps.step(&format!("Make a root folder of {name}"), |step| {
            let apt = Apt::open(cache, suite)?;
            Ok(apt
                .with_lists(step, || {
                    // Its apt is a third one, with the mirrors and proxies of this one.
                    let (sources, options) = (dir.join("sources.list"), dir.join("apt.conf"));
                    copy_lines(&apt.dir.join("sources.list"), &sources, "deb ")?;
                    copy_lines(&apt.dir.join("apt.conf"), &options, "Acquire::")?;
                    let mut make = Command::new("mmdebstrap");
                    // Nothing of it has to outlast a crash: what is not whole is made anew.
                    make.args(["--variant=essential", "--format=tar"])
                        .arg("--dpkgopt=force-unsafe-io")
                        .arg(format!("--include={}", packages.join(",")))
                        .args(["--architectures", ARCHITECTURE])
                        .arg(format!("--aptopt={}", options.display()))
                        .arg(suite.codename())
                        .arg(dir.join("root.tar"))
                        .arg(sources);
                    step.run(&mut make)
                })
                .or_mend(CHECK_NETWORK_AND_USER)?)
        })
    })?;
    Ok(entry.join("root.tar"))
}

/// Copies the lines of a file that begin so.
fn copy_lines(from: &Path, to: &Path, start: &str) -> Result<()> {
    let text = fs::read_to_string(from)?;
    let lines = text.lines().filter(|line| line.starts_with(start));
    fs::write(
        to,
        lines.map(|line| format!("{line}\n")).collect::<String>(),
    )?;
    Ok(())
}

/// A build of Debian's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// For virtual machines; it cannot be Xen's dom0.
    Cloud,
    /// For all machines.
    Generic,
}

impl Kernel {
    /// The package that is empty, and depends on the newest one, whose name has its version.
    fn package(self) -> &'static str {
        match self {
            Self::Cloud => "linux-image-cloud-amd64",
            Self::Generic => "linux-image-amd64",
        }
    }
}

/// The folder with the contents of the newest kernel of `suite`, one of Debian: `boot/vmlinuz-*` and its modules. It is
/// fetched once, as in [`unpacked`].
///
/// # Errors
/// When the package cannot be found, fetched or unpacked.
pub fn kernel(cache: &Cache, suite: &Suite, kernel: Kernel, steps: &Steps) -> Result<PathBuf> {
    let newest = kernel.package();
    let key = format!("{suite}-{newest}");
    unpack_once(cache, suite, &key, newest, steps, |apt, step| {
        let mut depends = apt.command("apt-cache");
        let depends = step.output(depends.args(["depends", "--important", newest]))?;
        let image = depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with("linux-image-"))
            .with_context(|| format!("{newest} depends on no kernel"))?;
        Ok(vec![image.to_string()])
    })
}

/// The source package `name` of `suite`. It is fetched once: delete the folder `sources` of the cache to get a newer
/// version.
///
/// # Errors
/// When the package is unknown, or cannot be fetched or unpacked.
pub fn source(cache: &Cache, suite: &Suite, name: &str, steps: &Steps) -> Result<Source> {
    let entry = cache.entry("sources", &format!("{suite}-{name}"), |dir| {
        host_packages::ensure(
            &[suite.keyring(), Package::program("dpkg-dev", "dpkg-source")],
            steps,
        )?;
        steps.step(
            &format!("Fetch the source of {name} from {}", suite.full_name()),
            |step| {
                let apt = Apt::open(cache, suite)?;
                let download = apt.with_lists(step, || {
                    let download = tempfile::tempdir_in(dir)?;
                    let mut source = apt.command("apt-get");
                    source.args(["source", "--download-only", name]);
                    step.run(source.current_dir(download.path()))?;
                    Ok(download)
                })?;
                let found = files_with_extension(download.path(), "dsc")?;
                let [dsc] = found.as_slice() else {
                    bail!("apt-get fetched no .dsc file, or several")
                };
                let text = fs::read_to_string(dsc)?;
                let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
                fs::write(
                    dir.join("VERSION"),
                    version.context("the .dsc file names no version")?,
                )?;
                step.run(
                    Command::new("dpkg-source")
                        .arg("-x")
                        .arg(dsc)
                        .arg(dir.join("source")),
                )
            },
        )
    })?;
    Ok(Source {
        version: fs::read_to_string(entry.join("VERSION"))?,
        dir: entry.join("source"),
    })
}

/// The packages that `apt-get install --simulate` says it would install, each as `name=version`.
fn planned_packages(plan: &str) -> Vec<String> {
    // Inst libc6 (2.41-12 Debian:13.7/stable [amd64]) []
    plan.lines()
        .filter_map(|line| {
            let (name, details) = line.strip_prefix("Inst ")?.split_once(" (")?;
            let version = details.split([' ', ')']).next()?;
            Some(format!("{name}={version}"))
        })
        .collect()
}

/// The folder `root` of the cache's entry `packages/key`, with the packages that `names` finds.
fn unpack_once(
    cache: &Cache,
    suite: &Suite,
    key: &str,
    what: &str,
    steps: &Steps,
    names: impl Fn(&Apt, &Step) -> Result<Vec<String>>,
) -> Result<PathBuf> {
    let entry = cache.entry("packages", key, |dir| {
        host_packages::ensure(&[suite.keyring()], steps)?;
        steps.step(
            &format!("Fetch {what} from {}", suite.full_name()),
            |step| {
                let apt = Apt::open(cache, suite)?;
                let download = apt.with_lists(step, || {
                    let download = tempfile::tempdir_in(dir)?;
                    let mut fetch = apt.command("apt-get");
                    fetch.arg("download").args(names(&apt, step)?);
                    step.run(fetch.current_dir(download.path()))?;
                    Ok(download)
                })?;
                let mut versions = String::new();
                for deb in files_with_extension(download.path(), "deb")? {
                    versions += &format!("{}\n", deb.file_name().unwrap_or_default().display());
                    step.run(
                        Command::new("dpkg")
                            .arg("-x")
                            .arg(&deb)
                            .arg(dir.join("root")),
                    )?;
                }
                Ok(fs::write(dir.join("VERSIONS"), versions)?)
            },
        )
    })?;
    Ok(entry.join("root"))
}

const CHECK_NETWORK_AND_USER: &str = "Check the network (behind a proxy, set apt's Acquire::http::Proxy). Who is not \
                                      root needs the package uidmap, and a line in /etc/subuid and /etc/subgid.";

fn files_with_extension(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read() {
        let plan = "NOTE: This is only a simulation!\n\
                    Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64]) []\n\
                    Inst seabios (1.17.0-1~bpo13+1 Debian Backports:stable-backports [all])\n\
                    Conf libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64])\n";
        assert_eq!(
            planned_packages(plan),
            ["libc6=2.41-12+deb13u4", "seabios=1.17.0-1~bpo13+1"]
        );
    }
}
