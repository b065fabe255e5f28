//! What is written into a system so that its programs find the library, and taken out again.
//!
//! Without another driver that is a link in the system's library folder: where programs look that do so by themselves, and
//! where a driver that is installed later takes its place. Before another driver it is a setting of the dynamic linker.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use vgpu_installed::{Machine, NAME};
use vgpu_new_file::{NewFile, Permissions, unique_beside};
use vgpu_terminal::{Failure, Printable};

/// The library folder of Debian; of Fedora and SUSE; of Arch. The first that is there counts.
const FOLDERS: [&str; 3] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
/// By what names programs look for it; the first is the linker's.
const NAMES: [&str; 2] = [NAME, "libcuda.so"];
/// The linker's setting. It comes before all others, which it takes in their order. What was chosen by hand is kept here too.
const SETTING: &str = "/etc/ld.so.conf.d/00-vgpu.conf";
const LDCONFIG: &str = "/sbin/ldconfig";

const SHADOWING: &str = "# By `vgpu library enable --shadow`; `vgpu library disable` ends it.\n";
const DISABLED: &str =
    "# By `vgpu library disable`: the package does not enable the library again.\n";

/// What was chosen by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Shadow,
    Disabled,
}

/// By what programs find the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Link,
    Shadow,
}

/// What a system's programs find.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What the linker finds.
    found: Option<PathBuf>,
    /// Whether that is ours.
    pub(super) ours: bool,
    enabled: Option<By>,
    /// By hand.
    disabled: bool,
    others: Vec<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.display().to_string());
            match paths.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "none".to_owned(),
                list => Printable(&list).to_string(),
            }
        };
        let whose = match (&self.found, self.ours) {
            (None, _) => "",
            (_, true) => " (vgpu's)",
            (_, false) => " (not vgpu's)",
        };
        let enabled = match (self.enabled, self.disabled) {
            (Some(By::Link), _) => "yes, by a link",
            (Some(By::Shadow), _) => "yes, before all other drivers",
            (None, true) => "no, by hand",
            (None, false) => "no",
        };
        let found = self.found.as_slice();
        writeln!(f, "programs find  {}{whose}", list(found))?;
        writeln!(f, "enabled        {enabled}")?;
        writeln!(f, "other drivers  {}", list(&self.others))
    }
}

/// A system, as its root changes it.
#[derive(Debug)]
pub(super) struct System(Machine);

impl System {
    pub(super) fn new(machine: Machine) -> Self {
        Self(machine)
    }

    pub(super) fn machine(&self) -> &Machine {
        &self.0
    }

    pub(super) fn report(&self) -> Report {
        let found = self.0.found();
        let chosen = self.chosen();
        let linked = self.links().any(|link| link.ends_with(NAME));
        Report {
            ours: found.as_ref().is_some_and(|path| self.0.is_ours(path)),
            found,
            enabled: match chosen {
                Some(Chosen::Shadow) => Some(By::Shadow),
                _ => linked.then_some(By::Link),
            },
            disabled: chosen == Some(Chosen::Disabled),
            others: self.0.others(),
        }
    }

    /// By links, in place of whatever was chosen. `folder` is that of the library. There is no other driver.
    pub(super) fn link(&self, folder: &Path) -> Result<(), Failure> {
        self.make_links(folder)?;
        self.choose(None)?;
        self.ldconfig()
    }

    /// Before all other drivers, and by links where these leave room.
    pub(super) fn shadow(&self, folder: &Path) -> Result<(), Failure> {
        let text = format!("{SHADOWING}{}\n", folder.display());
        self.choose(Some(&text))?;
        if self.0.others().is_empty() {
            self.make_links(folder)?;
        }
        self.ldconfig()
    }

    /// As when the package is installed: what was chosen by hand stays, and `other` drivers go on being found. Gives
    /// whether there is nothing to say about those.
    pub(super) fn enable_as_package(&self, folder: &Path, other: bool) -> Result<bool, Failure> {
        match self.chosen() {
            Some(Chosen::Disabled) => return Ok(true),
            Some(Chosen::Shadow) => {}
            None if other => self.remove_links()?,
            None => self.make_links(folder)?,
        }
        self.ldconfig()?;
        Ok(!other || self.chosen().is_some())
    }

    /// By nothing; with `remembered`, a package that is upgraded leaves it so.
    pub(super) fn disable(&self, remembered: bool) -> Result<(), Failure> {
        self.remove_links()?;
        self.choose(remembered.then_some(DISABLED))?;
        self.ldconfig()
    }

    fn chosen(&self) -> Option<Chosen> {
        let text = fs::read_to_string(self.0.path(SETTING)).ok()?;
        let mut lines = text.lines().map(str::trim);
        let names_a_folder = lines.any(|line| !line.is_empty() && !line.starts_with('#'));
        Some(match names_a_folder {
            true => Chosen::Shadow,
            false => Chosen::Disabled,
        })
    }

    fn choose(&self, text: Option<&str>) -> Result<(), Failure> {
        let path = self.0.path(SETTING);
        let Some(text) = text else {
            return remove(&path);
        };
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let mut content = text.as_bytes();
            NewFile::write(unique_beside(&path), &mut content, Permissions::Umask)?.rename(&path)
        };
        write().map_err(|error| refused("write", &path, &error))
    }

    /// The links to our library that are there, as this process sees them.
    fn links(&self) -> impl Iterator<Item = PathBuf> {
        let all = FOLDERS.iter().flat_map(|folder| {
            let folder = Path::new(folder);
            NAMES.map(|name| folder.join(name))
        });
        let ours = all.filter(|path| self.0.path(path).is_symlink() && self.0.is_ours(path));
        ours.map(|path| self.0.path(path))
    }

    fn make_links(&self, to: &Path) -> Result<(), Failure> {
        let folders = FOLDERS.iter().map(Path::new);
        let mut folders = folders.filter(|folder| self.0.path(folder).is_dir());
        let folder = folders.next().ok_or_else(|| {
            let cause = format!("there is no {}", FOLDERS.join(", nor "));
            Failure::new(cause, "start programs with `vgpu run` here")
        })?;
        for name in NAMES {
            let path = folder.join(name);
            let here = self.0.path(&path);
            if here.symlink_metadata().is_ok() && !self.0.is_ours(&path) {
                // Programs that look for this name alone find what was there.
                if name != NAME {
                    continue;
                }
                let cause = format!("{} is in the way", path.display());
                let mend = "see whose it is, and have it removed; `vgpu run` needs no link";
                return Err(Failure::new(cause, mend));
            }
            let new = unique_beside(&here);
            let made = symlink(to.join(name), &new).and_then(|()| fs::rename(&new, &here));
            made.map_err(|error| refused("make", &here, &error))?;
        }
        Ok(())
    }

    fn remove_links(&self) -> Result<(), Failure> {
        self.links().try_for_each(|link| remove(&link))
    }

    /// Has the linker look at its folders again.
    fn ldconfig(&self) -> Result<(), Failure> {
        let mut ldconfig = Command::new(LDCONFIG);
        ldconfig.arg("-r").arg(self.0.path("/"));
        let failed = |why: &dyn fmt::Display| {
            let cause = format!("{LDCONFIG}: {why}");
            Failure::new(cause, "run it as root, and see what it says")
        };
        let output = ldconfig.output().map_err(|error| failed(&error))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(failed(&said.lines().last().unwrap_or("it failed")))
            }
        }
    }
}

/// Takes a file away that may not be there.
fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(refused("remove", path, &error)),
        _ => Ok(()),
    }
}

fn refused(what: &str, path: &Path, error: &io::Error) -> Failure {
    let mend = match error.kind() {
        ErrorKind::PermissionDenied => "run it as root",
        _ => "see that the file system can be written, and has room",
    };
    Failure::new(format!("cannot {what} {}: {error}", path.display()), mend)
}
