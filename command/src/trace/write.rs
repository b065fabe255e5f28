//! A report as a file, which is there as a whole or not at all.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use vgpu_terminal::Failure;

use super::report::Report;

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct NewFile(PathBuf);

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
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // Errors of `make_in` do not speak of its name.
    tempfile::Builder::new().make_in(folder.unwrap_or(Path::new(".")), |path| {
        File::create_new(path)
    })
}

impl NewFile {
    /// Sees that it can be written, before there is what to write.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        if let Some(obstacle) = obstacle(path) {
            return Err(failure(path, &obstacle));
        }
        beside(path).map_err(|error| failure(path, &error))?;
        Ok(Self(path.to_owned()))
    }

    /// Writes it.
    pub(crate) fn fill(&self, report: &Report) -> Result<(), Failure> {
        let write = || {
            let mut out = BufWriter::new(beside(&self.0)?);
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
            let file = out.into_inner().map_err(IntoInnerError::into_error)?;
            file.persist(&self.0).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| failure(&self.0, &error))
    }
}
