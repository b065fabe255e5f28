//! `vgpu-stub qemu status`.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use vgpu_terminal::Failure;
use vgpu_terminal::shell::quoted;

use crate::place::{Place, note};
use crate::probe::{self, Facts};
use crate::program::Programs;
use crate::state::{State, changed};

/// What is printed. Its JSON form is a promise: `status --help` documents it.
#[derive(Serialize)]
struct Status {
    /// Raised when a field changes its meaning or goes away.
    version: u32,
    target: String,
    state: &'static str,
    /// None where it does not work.
    qemu: Option<String>,
    has_device: Option<bool>,
    backup: Option<String>,
    backup_qemu: Option<String>,
}

/// Tells which QEMU is in place. The exit code tells whether that is well.
///
/// # Errors
///
/// A file cannot be read, or stdout is closed.
pub(crate) fn run(place: &Place, programs: &Programs, json: bool) -> Result<ExitCode, Failure> {
    let state = State::of(place)?;
    let facts = Facts::of(&place.target, programs);
    let backup = Some(place.backup()).filter(|backup| backup.exists());
    let status = Status {
        version: 1,
        target: place.target.display().to_string(),
        state: state.name(),
        qemu: facts.as_ref().ok().map(|facts| facts.version.clone()),
        has_device: facts.as_ref().ok().map(|facts| facts.has_device),
        backup_qemu: backup
            .as_deref()
            .and_then(|backup| probe::version(backup, programs).ok()),
        backup: backup.map(|backup| backup.display().to_string()),
    };
    vgpu_terminal::print("the status", |out| match json {
        true => vgpu_terminal::json(out, &status),
        false => status.write(out),
    })?;

    let target = &status.target;
    let typed = quoted(&place.target);
    if matches!(state, State::Installed(_))
        && let Some(line) = place.other_names(&place.backup()).note(&place.target)
    {
        note(line);
    }
    let failure = match (state, facts) {
        (State::Broken(failure), _) => Some(failure),
        (State::Changed, _) => Some(changed(place)),
        (State::Interrupted, _) => Some(Failure::new(
            format!("{target} is the old QEMU: an install or a rollback was cut short"),
            format!("run it again, or remove what it left: vgpu-stub qemu rollback --to {typed}"),
        )),
        (State::Installed(_), Err(cause)) => Some(Failure::new(
            format!("{target} does not work: {cause}"),
            format!("vgpu-stub qemu rollback --to {typed}"),
        )),
        (State::Untouched, Err(cause)) => Some(Failure::new(
            format!("{target} does not work: {cause}"),
            "name a QEMU: --to PATH; or install its package again",
        )),
        (State::Untouched | State::Installed(_), Ok(_)) => None,
    };
    Ok(failure.map_or(ExitCode::SUCCESS, |failure| {
        failure.print();
        ExitCode::FAILURE
    }))
}

impl Status {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let device = match self.has_device {
            Some(true) => "has vgpu-stub",
            Some(false) => "does not have vgpu-stub",
            None => "does not work",
        };
        let qemu = self.qemu.as_deref().unwrap_or("?");
        writeln!(out, "{}: {}", self.target, self.state)?;
        writeln!(out, "  now:    {qemu}, {device}")?;
        if let Some(backup) = &self.backup {
            let qemu = self.backup_qemu.as_deref().unwrap_or("?");
            writeln!(out, "  before: {qemu}, kept as {backup}")?;
        }
        Ok(())
    }
}
