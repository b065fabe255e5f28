//! A report as a file, which is there as a whole or not at all.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use vgpu_new_file::{NewFile, Permissions, unique_beside};
use vgpu_terminal::Failure;

use super::report::Report;

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct ReportFile(PathBuf);

/// What stands at a path: a device or a pipe must not be replaced by a file.
fn obstacle(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Some("it is a folder"),
        Ok(found) if !found.is_file() => Some("it is a device, a pipe or a socket"),
        _ => None,
    }
}

fn failure(path: &Path, error: &dyn Display) -> Failure {
    Failure::new(
        format!("cannot write {}: {error}", path.display()),
        "name a file in a folder that this user may write to",
    )
}

/// A file beside the one of this path, which goes away unless it takes its place.
fn new(path: &Path, content: &mut dyn Read) -> io::Result<NewFile> {
    NewFile::write(unique_beside(path), content, Permissions::Umask)
}

impl ReportFile {
    /// Sees that it can be written, before there is what to write.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        if let Some(obstacle) = obstacle(path) {
            return Err(failure(path, &obstacle));
        }
        new(path, &mut io::empty()).map_err(|error| failure(path, &error))?;
        Ok(Self(path.to_owned()))
    }

    /// Writes it.
    pub(crate) fn fill(&self, report: &Report) -> Result<(), Failure> {
        let write = || {
            let mut text = serde_json::to_vec_pretty(report)?;
            text.push(b'\n');
            new(&self.0, &mut text.as_slice())?.rename(&self.0)
        };
        write().map_err(|error| failure(&self.0, &error))
    }
}
