//! Where and with what a benchmark ran: a result means nothing without it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::system::uname;
use serde::{Deserialize, Serialize};
use vgpu_bed::process;
use vgpu_terminal::OrMend;

use crate::checkout;

/// The machine, the versions, and the command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Conditions {
    pub(super) machine: String,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) command: String,
}

impl Conditions {
    /// Those of this run, with the command vgpu-stub at `program`, and the versions of others.
    pub(super) fn new(program: &Path, others: &[(&str, &str)]) -> Result<Self> {
        let mut conditions = Self::of_checkout()?;
        let others = others
            .iter()
            .map(|(name, version)| ((*name).to_string(), (*version).to_string()));
        conditions.versions.extend(others);
        conditions.ask("vgpu-stub", Command::new(program))?;
        Ok(conditions)
    }

    /// Those of a run of what cargo has built here.
    pub(super) fn of_checkout() -> Result<Self> {
        let mut conditions = Self {
            machine: machine(),
            versions: BTreeMap::new(),
            command: format!(
                "cargo xtask {}",
                env::args().skip(1).collect::<Vec<_>>().join(" ")
            ),
        };
        conditions.ask("rustc", Command::new("rustc"))?;
        Ok(conditions)
    }

    /// Adds what a program says of its version.
    fn ask(&mut self, name: &str, mut program: Command) -> Result<()> {
        let said = output(program.arg("--version"))?;
        let version = said.split(' ').nth(1).unwrap_or(&said);
        self.versions.insert(name.into(), version.to_string());
        Ok(())
    }

    /// With the version of the crate that the peer of the server is made of.
    pub(super) fn with_peer(mut self) -> Result<Self> {
        // A name such as registry+https://…#vfio_user@0.1.7.
        let peer = output(process::cargo().args(["pkgid", "vfio_user"]))?;
        let version = peer.rsplit('@').next().unwrap_or(&peer);
        self.versions
            .insert("vfio_user".into(), version.to_string());
        Ok(self)
    }

    /// The versions in one line.
    pub(super) fn versions(&self) -> String {
        let versions = self.versions.iter();
        versions
            .map(|(name, version)| format!("{name} {version}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Such as "2 × AMD EPYC, Debian GNU/Linux 12 (bookworm), Linux 6.1.0".
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let processor = field("/proc/cpuinfo", "model name", ':');
    let system = field("/etc/os-release", "PRETTY_NAME", '=');
    let kernel = uname().release().to_string_lossy().into_owned();
    format!("{cores} × {processor}, {system}, Linux {kernel}")
}

/// The value of the first line `name separator value` of a file, or "unknown".
fn field(file: &str, name: &str, separator: char) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        (key.trim() == name).then(|| value.trim().trim_matches('"').to_string())
    });
    value.unwrap_or_else(|| "unknown".into())
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut run = || {
        let output = command.current_dir(checkout()).output()?;
        ensure!(output.status.success(), "it failed ({})", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_string())
    };
    Ok(run()
        .with_context(|| format!("{name} does not tell its version"))
        .or_mend("Run this by cargo, from the checkout: cargo xtask bench")?)
}
