//! What is run in dom0, and what comes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::run_folder::RunFolder;

use crate::library_closure::libraries;
use crate::machine::host_folder;

/// What a scenario may take before its machine counts as hung. Most take 20 seconds; a busy computer needs many times that.
const LIMIT: Duration = Duration::from_secs(120);

/// What loads this machine's programs.
const LINKER: &str = "/lib64/ld-linux-x86-64.so.2";

/// What scenarios find in `/bed`.
const BED: [(&str, &str); 2] = [
    ("lib.sh", include_str!("../dom0/lib.sh")),
    ("guest-init", include_str!("../guest/init")),
];

/// A shell script for dom0, with the files that it needs.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(crate) script: String,
    files: Vec<(String, PathBuf)>,
    programs: Vec<(String, PathBuf)>,
    guest: Option<GuestImage>,
    pub(crate) limit: Duration,
}

impl Scenario {
    /// Runs `script` with dom0's `sh`, in `/host`; its output is the outcome's. `. /bed/lib.sh` brings the functions for
    /// guests.
    #[must_use]
    pub fn new(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            files: Vec::new(),
            programs: Vec::new(),
            guest: None,
            limit: LIMIT,
        }
    }

    /// Another script with the same files.
    #[must_use]
    pub fn script(mut self, script: impl Into<String>) -> Self {
        self.script = script.into();
        self
    }

    /// Copies `file` to `/host/name`. What it runs in dom0 should be static: dom0 has few libraries.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.files.push((name.into(), file.into()));
        self
    }

    /// Makes `/host/name` run `program`, which needs not be static: the libraries come along that it has on this machine.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        self.programs.push((name.into(), program.into()));
        self
    }

    /// Gives guests this image.
    #[must_use]
    pub fn guest(mut self, image: &GuestImage) -> Self {
        self.guest = Some(image.clone());
        self
    }

    /// Allows this time from the machine's start to the script's end, in place of two minutes. A script that needs more
    /// counts as a machine that hung, so what it waits for should have limits of its own.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Fills the folder that dom0 finds at `/host`.
    pub(crate) fn write(&self, host: &Path) -> Result<()> {
        fs::create_dir(host)?;
        fs::create_dir(host.join("out"))?;
        fs::write(host.join("scenario"), &self.script)?;
        let bed = host.join("bed");
        fs::create_dir(&bed)?;
        for (name, contents) in BED {
            fs::write(bed.join(name), contents)?;
        }
        for (name, program) in &self.programs {
            check_name(name)?;
            write_program(host, name, program)?;
        }
        for (name, file) in &self.files {
            check_name(name)?;
            fs::copy(file, host.join(name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        if let Some(image) = &self.guest {
            let guest = host.join("guest");
            fs::create_dir(&guest)?;
            fs::copy(image.kernel(), guest.join("kernel"))
                .context("cannot copy the guest's kernel")?;
            image.write_initramfs(&guest.join("initramfs"))?;
        }
        Ok(())
    }
}

/// Whether a file in `/host` may have this name.
fn check_name(name: &str) -> Result<()> {
    let taken = ["bed", "guest", "keep", "out", "scenario"].contains(&name);
    ensure!(
        !taken && !name.is_empty() && !name.contains('/') && !name.starts_with('.'),
        "a file in /host cannot have the name {name:?}"
    );
    Ok(())
}

/// Writes a program with its libraries, and what starts it.
fn write_program(host: &Path, name: &str, program: &Path) -> Result<()> {
    let folder = host.join(format!("{name}.files"));
    fs::create_dir(&folder)?;
    let copy = |name: &str, file: &Path| {
        fs::copy(file, folder.join(name))
            .map(drop)
            .with_context(|| format!("cannot copy {}", file.display()))
    };
    copy("program", program)?;
    for (name, file) in libraries(Path::new(LINKER), &[], program)? {
        copy(&name, &file)?;
    }
    copy("linker", Path::new(LINKER))?;
    // Copied once: from the host's folder each page costs a request, and some programs are started again and again.
    // By this name it is the program itself, to whom it starts and to who looks for it.
    let start = format!(
        "#!/bin/sh\nfiles=/run/bed/{name}.files\n\
         [ -d $files ] || cp -r /host/{name}.files $files\n\
         exec $files/linker --argv0 \"$0\" --library-path $files $files/program \"$@\"\n"
    );
    let path = host.join(name);
    fs::write(&path, start)?;
    Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
}

/// How a scenario ended.
#[derive(Debug)]
pub struct Outcome {
    /// The script's exit status: 0 if it did what it should.
    pub status: u8,
    /// What it has printed, standard output and standard error together.
    pub output: String,
    pub(crate) folder: RunFolder,
}

impl Outcome {
    /// The folder that the scenario had at `/host`: its files are in `out`, those of `/var/log/xen` in `out/log`. It goes
    /// with the outcome, unless the scenario failed.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        host_folder(&self.folder)
    }

    /// The log of Xen and dom0's kernel.
    #[must_use]
    pub fn console(&self) -> String {
        self.folder.console()
    }

    /// Leaves the folder with all logs where it is, and returns it.
    pub fn keep_folder(&self) -> &Path {
        self.folder.keep();
        self.folder.path()
    }

    /// The output of a scenario that did what it should.
    ///
    /// # Errors
    /// When the status is not 0: the error holds the output, and where the logs are.
    pub fn success(self) -> Result<String> {
        ensure!(
            self.status == 0,
            "the scenario failed, exit status {}\n{}\n  logs: {}",
            self.status,
            indented(&self.output),
            self.keep_folder().display()
        );
        Ok(self.output)
    }
}

/// Output as a part of a message.
pub(crate) fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("    | {}", line.trim_end()))
        .collect();
    lines.join("\n")
}
