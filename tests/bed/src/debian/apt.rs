//! apt with a configuration of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::suite::Suite;
use crate::cache::{Cache, Lock};
use crate::steps::Step;
use vgpu_terminal::OrMend;

/// How old the package lists may grow.
const LISTS_LAST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Guests are x86-64, whatever the host is.
pub(super) const ARCHITECTURE: &str = "amd64";

const CHECK_NETWORK: &str = "Check the network (behind a proxy, set apt's Acquire::http::Proxy), and that the \
                             release and the packages exist.";

/// A private apt, for one suite.
pub(super) struct Apt {
    suite: Suite,
    /// The folder with its configuration.
    pub(super) dir: PathBuf,
    _lock: Lock,
}

impl Apt {
    pub(super) fn open(cache: &Cache, suite: &Suite) -> Result<Self> {
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
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C");
        command
    }

    /// Does `work`, which needs the package lists. Lists that are missing or old are fetched before, and again where
    /// `work` fails: the archive has replaced what they name.
    pub(super) fn with_lists<T>(&self, step: &Step, work: impl Fn() -> Result<T>) -> Result<T> {
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
        self.update(step).or_mend(CHECK_NETWORK)?;
        fs::write(updated, "")?;
        Ok(work().or_mend(CHECK_NETWORK)?)
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
        if self.suite.prefers_backports() {
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

/// What a command of the host's apt prints.
fn host_output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))
        .or_mend("Run this on Debian or Ubuntu, where apt is at hand.")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
