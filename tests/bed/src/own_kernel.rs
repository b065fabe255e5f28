//! A Linux kernel of the user's own, in the tree where this machine's tools have built it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use vgpu_terminal::OrMend;

use crate::guest::GuestImage;
use crate::kernel_module::{copied, files};
use crate::steps::Steps;

/// Where a built tree says which release it is.
const RELEASE: &str = "include/config/kernel.release";
/// The kernel, an ELF file.
const KERNEL: &str = "vmlinux";

const BUILD: &str = "Build it there: make vmlinux modules";

/// Such a kernel.
#[derive(Debug, Clone)]
pub struct OwnKernel {
    tree: PathBuf,
    release: String,
}

impl OwnKernel {
    /// The kernel in a tree.
    ///
    /// # Errors
    /// When none was built there.
    pub fn open(tree: &Path) -> Result<Self> {
        let tree = fs::canonicalize(tree).with_context(|| tree.display().to_string())?;
        let built = |name: &str| {
            let file = tree.join(name);
            let built = file.is_file().then_some(file);
            let built = built.with_context(|| format!("{} has no {name}", tree.display()));
            built.or_mend(BUILD)
        };
        built(KERNEL)?;
        let release = fs::read_to_string(built(RELEASE)?)?.trim().to_owned();
        Ok(Self { tree, release })
    }

    /// Its release, as `uname -r` prints it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// A guest with this kernel.
    #[must_use]
    pub fn guest(&self, image: &GuestImage) -> GuestImage {
        image.with_kernel(&self.tree.join(KERNEL), &self.release)
    }

    /// The module `name`, of the files in a folder, built anew.
    ///
    /// # Errors
    /// When it does not build.
    pub fn module(&self, source: &Path, name: &str, steps: &Steps) -> Result<Vec<u8>> {
        let what = format!("Build {name} for Linux {}", self.release);
        steps.step(&what, |step| {
            let work = copied(&files(source)?)?;
            let mut make = Command::new("make");
            make.arg("-C").arg(&self.tree);
            make.arg(format!("M={}", work.path().display()));
            step.run(make.arg("modules")).or_mend(BUILD)?;
            let module = fs::read(work.path().join(name))?;
            ensure!(!module.is_empty(), "{name} is empty");
            Ok(module)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_a_kernel_is_refused() {
        let tree = tempfile::tempdir().unwrap();
        let said = |tree: &Path| OwnKernel::open(tree).unwrap_err().to_string();
        assert!(said(&tree.path().join("none")).contains("none"));
        assert!(said(tree.path()).contains("has no vmlinux"));
        fs::write(tree.path().join(KERNEL), "").unwrap();
        assert!(said(tree.path()).contains("has no include/config/kernel.release"));
        fs::create_dir_all(tree.path().join("include/config")).unwrap();
        fs::write(tree.path().join(RELEASE), "6.1.0-own\n").unwrap();
        assert_eq!(OwnKernel::open(tree.path()).unwrap().release(), "6.1.0-own");
    }
}
