//! Modules for Debian's kernels, built in a root folder of that release, by its own compiler.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::debian::{self, Suite};
use crate::root_folder;
use crate::sanitized_kernel::SanitizedKernel;
use crate::steps::{Step, Steps};

/// The package with the headers of a release's newest kernel for virtual machines.
pub const HEADERS: &str = "linux-headers-cloud-amd64";

/// Releases with kernels 5.10, 6.1, 6.12 and the newest that there is for one, and the package of their headers. What bullseye's
/// newest is does not change any more.
pub const KERNELS: [(&str, &str); 4] = [
    ("bullseye", "linux-headers-5.10.0-46-cloud-amd64"),
    ("bookworm", HEADERS),
    ("trixie", HEADERS),
    (
        "trixie-backports",
        "linux-headers-cloud-amd64/trixie-backports",
    ),
];

/// What builds modules beside the compiler, which the headers need, and what reads their source.
const TOOLS: [&str; 3] = ["make", "perl", "sparse"];

/// A release of Debian with the headers of a kernel, and what builds modules for it.
#[derive(Debug)]
pub struct Builder {
    cache: Cache,
    root: PathBuf,
    key: String,
    release: String,
}

impl Builder {
    /// With the package `headers`, such as [`HEADERS`], and the kernel's usual tools. It is made once, as in
    /// [`debian::root`].
    ///
    /// # Errors
    /// When a package cannot be fetched, or the folder cannot be made.
    pub fn new(cache: &Cache, suite: &Suite, headers: &str, steps: &Steps) -> Result<Self> {
        root_folder::ensure_programs(steps)?;
        let packages: Vec<_> = [headers].into_iter().chain(TOOLS).collect();
        let archive = debian::root(cache, suite, &packages, steps)?;
        let key = archive.parent().and_then(Path::file_name);
        let key = key.context("an archive in no folder")?.to_string_lossy();
        let entry = cache.entry("kernel-builders", &key, |dir| {
            steps.step(&format!("Unpack {headers} of {suite}"), |step| {
                root_folder::unpack(&archive, dir, step)
            })
        })?;
        Ok(Self {
            cache: cache.clone(),
            release: release(&entry)?,
            key: key.into_owned(),
            root: entry,
        })
    }

    /// For a kernel that checks itself, of which `root` has what modules are built against.
    ///
    /// # Errors
    /// When its release cannot be read.
    pub fn sanitized(cache: &Cache, kernel: &SanitizedKernel) -> Result<Self> {
        Ok(Self {
            cache: cache.clone(),
            release: release(kernel.root())?,
            key: kernel.key().to_owned(),
            root: kernel.root().to_owned(),
        })
    }

    /// The kernel's release, as `uname -r` prints it there.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The module `name`, of the files in a folder: it is built once.
    ///
    /// # Errors
    /// When it does not build.
    pub fn module(&self, source: &Path, name: &str, steps: &Steps) -> Result<PathBuf> {
        let files = files(source)?;
        let mut key = Sha256::new();
        key.update(format!("{} {}", self.key, self.release));
        for file in &files {
            key.update(file.as_os_str().as_encoded_bytes());
            key.update(fs::read(file)?);
        }
        let key = format!("{:x}", key.finalize());
        let entry = self.cache.entry("modules", &key[..16], |dir| {
            let what = format!("Build {name} for Linux {}", self.release);
            steps.step(&what, |step| {
                let work = copied(&files)?;
                self.make(work.path(), &[], step)?;
                fs::copy(work.path().join(name), dir.join(name))?;
                Ok(())
            })
        })?;
        Ok(entry.join(name))
    }

    /// Builds the module whose source is in a folder, with more words for make; and anew, as nothing is kept.
    ///
    /// # Errors
    /// When it does not build.
    pub fn make_anew(&self, source: &Path, words: &[&str], step: &Step) -> Result<()> {
        let work = copied(&files(source)?)?;
        self.make(work.path(), words, step)
    }

    fn make(&self, work: &Path, words: &[&str], step: &Step) -> Result<()> {
        let kernel = format!("/lib/modules/{}/build", self.release);
        let module = format!("M={}", root_folder::WORK);
        let mut command = vec!["make", "-C", &kernel, &module, "modules"];
        command.extend(words);
        self.run(work, &command, step)
    }

    /// Runs a command in the root folder, with the folder `work` at `/mnt` in it.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, work: &Path, words: &[&str], step: &Step) -> Result<()> {
        root_folder::run(&self.root, work, words, step)
    }
}

/// The release of the only kernel whose headers are in a root folder.
fn release(root: &Path) -> Result<String> {
    let modules = root.join("lib/modules");
    let found = fs::read_dir(&modules).with_context(|| modules.display().to_string())?;
    let mut found = found.flatten();
    let folder = found
        .next()
        .context("the package has headers of no kernel")?;
    Ok(folder.file_name().to_string_lossy().into_owned())
}

/// The files of a folder, in order of their names.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// A folder with copies of files: a build leaves much beside them.
pub(crate) fn copied(files: &[PathBuf]) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("vgpu-module-").tempdir()?;
    for file in files {
        fs::copy(
            file,
            folder.path().join(file.file_name().unwrap_or_default()),
        )?;
    }
    Ok(folder)
}
