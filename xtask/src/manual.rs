//! Manual pages and completions, made by a program that knows the commands: this one is built without them.

use std::fs;

use anyhow::{Context, Result, bail};
use vgpu_bed::process;
use vgpu_terminal::Failure;

use crate::checkout;

/// What belongs to a command beside its program.
#[derive(Debug)]
pub(crate) struct Manual(tempfile::TempDir);

impl Manual {
    /// Of the command of this name.
    ///
    /// # Errors
    ///
    /// It does not build.
    pub(crate) fn of(command: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let output = process::cargo()
            .current_dir(checkout())
            .args(["run", "--quiet", "--package", "vgpu-manual", "--", command])
            .arg(folder.path())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(said.trim_end(), "Mend what cargo complains about.").into());
        }
        Ok(Self(folder))
    }

    /// The completions of a shell: `bash`, `zsh` or `fish`.
    ///
    /// # Errors
    ///
    /// There are none, or they cannot be read.
    pub(crate) fn completions(&self, shell: &str) -> Result<Vec<u8>> {
        let path = self.0.path().join(shell);
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// The manual pages, each with its file's name, such as `vgpu-stub-ctl.1`.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub(crate) fn pages(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut pages = Vec::new();
        for file in fs::read_dir(self.0.path().join("man1"))? {
            let file = file?;
            let Ok(name) = file.file_name().into_string() else {
                bail!("a page has no name");
            };
            pages.push((name, fs::read(file.path())?));
        }
        Ok(pages)
    }
}
