//! A report as a file, which is there as a whole or not at all.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use vgpu_terminal::Failure;

use super::report::Report;

/// A file that is to be written.
#[derive(Debug)]
pub(crate) struct NewFile(PathBuf);

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
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
}

impl NewFile {
    /// Sees that it can be written, before there is what to write.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(failure(path, &"it is a folder"));
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
