//! Packages of Debian and Ubuntu, binary and source, unpacked into the cache.
//!
//! Each suite has an apt configuration of its own in the cache, so nothing of the host's apt changes, no privilege is
//! needed, and the suite need not be the host's. What the host's apt says on mirrors and proxies holds here too.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::{Cache, Lock, digest};
use crate::failure::Mend;
use crate::host_packages::{self, Package};
use crate::steps::{Step, Steps};

/// How old the package lists may grow.
const LISTS_LAST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Guests are x86-64, whatever the host is.
const ARCHITECTURE: &str = "amd64";

/// A release of Debian or Ubuntu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    distribution: &'static Distribution,
    codename: String,
    /// Newer packages for this release are preferred.
    backports: bool,
}

/// What the suites of one distribution have in common.
#[derive(Debug, PartialEq, Eq)]
struct Distribution {
    name: &'static str,
    components: &'static str,
    /// The package with `keyring`.
    keyring_package: &'static str,
    keyring: &'static str,
    archives: &'static [Archive],
}

/// What follows the codename in the name of the suite with backports.
const BACKPORTS: &str = "-backports";

/// One tree of an archive.
#[derive(Debug, PartialEq, Eq)]
struct Archive {
    /// The label in its Release file.
    label: &'static str,
    uri: &'static str,
    /// What follows the codename in the name of a suite.
    suffixes: &'static [&'static str],
    /// Whether the suite with the release's backports is here.
    backports: bool,
}

static DEBIAN: Distribution = Distribution {
    name: "Debian",
    components: "main",
    keyring_package: "debian-archive-keyring",
    keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    archives: &[
        Archive {
            label: "Debian",
            uri: "http://deb.debian.org/debian",
            suffixes: &["", "-updates"],
            backports: true,
        },
        Archive {
            label: "Debian-Security",
            uri: "http://deb.debian.org/debian-security",
            suffixes: &["-security"],
            backports: false,
        },
    ],
};

static UBUNTU: Distribution = Distribution {
    name: "Ubuntu",
    components: "main universe",
    keyring_package: "ubuntu-keyring",
    keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    archives: &[Archive {
        label: "Ubuntu",
        uri: "http://archive.ubuntu.com/ubuntu",
        suffixes: &["", "-updates", "-security"],
        backports: true,
    }],
};

/// An unpacked source package.
#[derive(Debug, Clone)]
pub struct Source {
    /// The package's version, such as `1:7.2+dfsg-7+deb12u18`.
    pub version: String,
    /// The unpacked tree, with Debian's patches applied.
    pub dir: PathBuf,
}

impl Suite {
    /// The release of Debian with this codename, such as `bookworm`.
    #[must_use]
    pub fn debian(codename: &str) -> Self {
        Self {
            distribution: &DEBIAN,
            codename: codename.to_string(),
            backports: false,
        }
    }

    /// The same release with its backports, which are preferred: newer packages that are built for it.
    #[must_use]
    pub fn with_backports(self) -> Self {
        Self {
            backports: true,
            ..self
        }
    }

    /// The release that this machine runs, or the one that it derives from.
    ///
    /// # Errors
    /// When `/etc/os-release` names neither Debian nor Ubuntu.
    pub fn host() -> Result<Self> {
        let path = "/etc/os-release";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Self::from_os_release(&text)
            .ok_or_else(|| anyhow!("{path} names no release of Debian or Ubuntu"))
            .mend("Name a release of Debian, such as bookworm.")
    }

    fn from_os_release(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_string())
        };
        let distribution = match field("ID")?.as_str() {
            "debian" => Some((&DEBIAN, field("VERSION_CODENAME")?)),
            "ubuntu" => Some((&UBUNTU, field("VERSION_CODENAME")?)),
            _ => None,
        };
        // Derivatives say what they derive from.
        let (distribution, codename) = distribution
            .or_else(|| Some((&UBUNTU, field("UBUNTU_CODENAME")?)))
            .or_else(|| Some((&DEBIAN, field("DEBIAN_CODENAME")?)))?;
        Some(Self {
            distribution,
            codename,
            backports: false,
        })
    }

    /// The codename, such as `bookworm`.
    #[must_use]
    pub fn codename(&self) -> &str {
        &self.codename
    }
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
            apt.with_lists(step, || {
                // Its apt is a third one, with the mirrors and proxies of this one.
                let (sources, options) = (dir.join("sources.list"), dir.join("apt.conf"));
                copy_lines(&apt.dir.join("sources.list"), &sources, "deb ")?;
                copy_lines(&apt.dir.join("apt.conf"), &options, "Acquire::")?;
                let mut make = Command::new("mmdebstrap");
                make.args(["--variant=essential", "--format=tar"])
                    .arg(format!("--include={}", packages.join(",")))
                    .args(["--architectures", ARCHITECTURE])
                    .arg(format!("--aptopt={}", options.display()))
                    .arg(&suite.codename)
                    .arg(dir.join("root.tar"))
                    .arg(sources);
                step.run(&mut make)
            })
            .mend(CHECK_NETWORK_AND_USER)
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

/// A private apt, for one suite.
struct Apt {
    suite: Suite,
    dir: PathBuf,
    _lock: Lock,
}

impl Apt {
    fn open(cache: &Cache, suite: &Suite) -> Result<Self> {
        let lock = cache.lock(&format!("apt-{suite}"))?;
        let dir = cache.dir(&format!("apt/{suite}"))?;
        for folder in ["state/lists/partial", "cache/archives/partial", "parts"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let apt = Self {
            suite: suite.clone(),
            dir,
            _lock: lock,
        };
        let acquire = host_output("apt-config", &["dump", "Acquire"])?;
        fs::write(apt.dir.join("apt.conf"), apt.configuration(&acquire))?;
        Ok(apt)
    }

    /// A command that reads this configuration and none of the host's.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }

    /// Does `work`, which needs the package lists. Lists that are missing or old are fetched before, and again where
    /// `work` fails: the archive has replaced what they name.
    fn with_lists<T>(&self, step: &Step, work: impl Fn() -> Result<T>) -> Result<T> {
        let updated = self.dir.join("updated");
        let age = fs::metadata(&updated)
            .and_then(|file| file.modified())
            .map(|time| time.elapsed());
        if matches!(age, Ok(Ok(age)) if age < LISTS_LAST) {
            match work() {
                Ok(value) => return Ok(value),
                Err(error) => step.say(&format!("{error:#}; fetching the package lists again")),
            }
        }
        self.update(step).mend(CHECK_NETWORK)?;
        fs::write(updated, "")?;
        work().mend(CHECK_NETWORK)
    }

    /// Fetches the package lists: from the mirrors that the host's apt uses, where it does, and else from the
    /// distribution's own servers.
    fn update(&self, step: &Step) -> Result<()> {
        let targets = host_output(
            "apt-get",
            &["indextargets", "--format", "$(LABEL)\t$(REPO_URI)"],
        )?;
        let list = self.dir.join("sources.list");
        let original = self.suite.sources_list("");
        let mirrored = self.suite.sources_list(&targets);
        if mirrored != original {
            fs::write(&list, &mirrored)?;
            match step.run(self.command("apt-get").arg("update")) {
                Ok(()) => return Ok(()),
                Err(error) => step.say(&format!("{error:#}; trying without the mirror")),
            }
        }
        fs::write(&list, &original)?;
        step.run(self.command("apt-get").arg("update"))
    }

    /// The configuration file. `acquire` is the host's `apt-config dump Acquire`, for its proxies.
    fn configuration(&self, acquire: &str) -> String {
        let dir = self.dir.display();
        let mut text = format!(
            r#"Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "{dir}/parts";
Dir::Etc::SourceList "{dir}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{dir}/state";
Dir::State::Status "/dev/null";
Dir::Cache "{dir}/cache";
APT::Architecture "{ARCHITECTURE}";
APT::Architectures "{ARCHITECTURE}";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "3";
"#
        );
        if self.suite.backports {
            // Without this, apt takes them only where they are asked for by version.
            text += &format!("APT::Default-Release \"{}\";\n", self.suite);
        }
        for line in acquire
            .lines()
            .filter(|line| line.starts_with("Acquire::http"))
        {
            text += &format!("{line}\n");
        }
        text
    }
}

const CHECK_NETWORK: &str = "Check the network (behind a proxy, set apt's Acquire::http::Proxy), and that the \
                             release and the packages exist.";

const CHECK_NETWORK_AND_USER: &str = "Check the network (behind a proxy, set apt's Acquire::http::Proxy). Who is not \
                                      root needs the package uidmap, and a line in /etc/subuid and /etc/subgid.";

impl Suite {
    /// The package that verifies what comes from the archive.
    fn keyring(&self) -> Package {
        Package::file(self.distribution.keyring_package, self.distribution.keyring)
    }

    fn full_name(&self) -> String {
        format!("{} {self}", self.distribution.name)
    }

    /// The sources of this suite. `targets` are lines of label, tab, address: the archives that the host's apt uses.
    fn sources_list(&self, targets: &str) -> String {
        let Distribution {
            components,
            keyring,
            archives,
            ..
        } = self.distribution;
        let mut list = String::new();
        for archive in *archives {
            let mirror = targets.lines().find_map(|line| {
                line.strip_prefix(archive.label)?
                    .strip_prefix('\t')
                    .filter(|uri| uri.contains("://"))
            });
            let uri = mirror.unwrap_or(archive.uri).trim_end_matches('/');
            let backports = self.backports && archive.backports;
            // Sid, where all packages arrive first, has no updates.
            for suffix in archive
                .suffixes
                .iter()
                .filter(|suffix| suffix.is_empty() || self.codename != "sid")
                .chain(backports.then_some(&BACKPORTS))
            {
                let suite = format!("{}{suffix}", self.codename);
                for kind in ["deb", "deb-src"] {
                    list += &format!("{kind} [signed-by={keyring}] {uri} {suite} {components}\n");
                }
            }
        }
        list
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.backports { BACKPORTS } else { "" };
        write!(f, "{}{suffix}", self.codename)
    }
}

/// What a command of the host's apt prints.
fn host_output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))
        .mend("Run this on Debian or Ubuntu, where apt is at hand.")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

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
    fn hosts_and_derivatives_are_told() {
        let suite = |text| Suite::from_os_release(text);
        assert_eq!(
            suite("ID=debian\nVERSION_CODENAME=bookworm\n"),
            Some(Suite::debian("bookworm"))
        );
        let noble = Some(Suite {
            distribution: &UBUNTU,
            codename: "noble".into(),
            backports: false,
        });
        assert_eq!(
            suite("ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n"),
            noble
        );
        assert_eq!(
            suite("ID=linuxmint\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=\"noble\"\n"),
            noble
        );
        assert_eq!(
            suite("ID=linuxmint\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n"),
            Some(Suite::debian("bookworm"))
        );
        assert_eq!(suite("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
    }

    #[test]
    fn the_mirrors_of_the_host_are_used() {
        let suite = Suite::debian("trixie");
        let targets = "hashicorp\thttps://example.net/\nDebian-Security\thttp://mirror.example/sec/\n\
                       Debian\thttps://mirror.example/debian/\n";
        let list = suite.sources_list(targets);
        assert!(
            list.contains("] https://mirror.example/debian trixie-updates main\n"),
            "{list}"
        );
        assert!(
            list.contains("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "),
            "{list}"
        );
        assert!(
            list.contains("] http://mirror.example/sec trixie-security main\n"),
            "{list}"
        );
        assert!(
            !list.contains("deb.debian.org") && !list.contains("example.net"),
            "{list}"
        );
        assert!(
            suite
                .sources_list("")
                .contains("] http://deb.debian.org/debian trixie main\n")
        );
        let sid = Suite::debian("sid").sources_list("");
        assert!(
            sid.contains(" sid main\n") && !sid.contains("sid-"),
            "{sid}"
        );
    }

    #[test]
    fn backports_come_from_the_main_archive() {
        let suite = Suite::debian("trixie").with_backports();
        let list = suite.sources_list("");
        let backports: Vec<_> = list
            .lines()
            .filter(|line| line.contains("-backports"))
            .collect();
        let source = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                      http://deb.debian.org/debian trixie-backports main";
        assert_eq!(
            backports,
            [format!("deb {source}"), format!("deb-src {source}")]
        );
        assert!(list.contains(" trixie-security main\n"), "{list}");
        assert_eq!(suite.full_name(), "Debian trixie-backports");
        assert_ne!(suite, Suite::debian("trixie"));
    }

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
