//! Where a QEMU is, and the files beside it.

use std::fmt::Display;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use vgpu_new_file::{NewFile, Permissions, beside};
use vgpu_terminal::shell::quoted;
use vgpu_terminal::{Failure, OrMend, Printable};
use vgpu_xl::device_model::QEMUS;

const OURS: &str = ".vgpu-stub-";

/// A QEMU that is to be replaced, or was.
#[derive(Debug)]
pub(crate) struct Place {
    /// The file itself, with no links in its path.
    pub(crate) target: PathBuf,
}

impl Place {
    /// The QEMU at `to`, or where toolstacks of Xen look for theirs.
    ///
    /// # Errors
    ///
    /// There is none, or it is no file.
    pub(crate) fn find(to: Option<&Path>) -> Result<Self, Failure> {
        let found = || QEMUS.iter().map(Path::new).find(|path| path.exists());
        let asked = to.or_else(found).ok_or_else(|| {
            Failure::new(
                "there is no QEMU for Xen where distributions put it",
                "name the one that is meant: --to PATH",
            )
        })?;
        let target = match asked.canonicalize() {
            Ok(target) => target,
            Err(error) => return Err(Self::missing(asked, &error)),
        };
        if !target.is_file() {
            return Err(Failure::new(
                format!("{} is not a file", target.display()),
                "name a QEMU: --to PATH",
            ));
        }
        if target.to_string_lossy().contains(OURS) {
            return Err(Failure::new(
                format!("{} is a file of this command's own", target.display()),
                format!("name the QEMU beside it, without {OURS}…"),
            ));
        }
        if fs::symlink_metadata(asked).is_ok_and(|file| file.is_symlink()) {
            note(format_args!(
                "{} is a link to {}",
                asked.display(),
                target.display()
            ));
        } else if to.is_none() {
            note(format_args!("{} is the QEMU here", target.display()));
        }
        Ok(Self { target })
    }

    fn missing(asked: &Path, error: &io::Error) -> Failure {
        let place = Self {
            target: asked.to_owned(),
        };
        let cause = format!("{}: {error}", asked.display());
        if place.backup().exists() {
            return Failure::new(
                format!("{cause}; its backup is there"),
                format!(
                    "put it back: mv {} {} && rm {}",
                    quoted(place.backup()),
                    quoted(asked),
                    quoted(place.record())
                ),
            );
        }
        Failure::new(cause, "name a QEMU that is there: --to PATH")
    }

    /// The QEMU from before.
    pub(crate) fn backup(&self) -> PathBuf {
        self.beside("backup")
    }

    /// Which QEMU was put in place of which.
    pub(crate) fn record(&self) -> PathBuf {
        self.beside("record")
    }

    fn beside(&self, what: &str) -> PathBuf {
        beside(&self.target, "", &format!("{OURS}{what}"))
    }

    /// Other names of a file that is, or was, the QEMU here, as far as they are
    /// found: in its folder, and where toolstacks of Xen look.
    pub(crate) fn other_names(&self, file: &Path) -> OtherNames {
        let Ok(metadata) = fs::metadata(file) else {
            return OtherNames::default();
        };
        let is_it = |path: &PathBuf| {
            fs::symlink_metadata(path)
                .is_ok_and(|it| (it.dev(), it.ino()) == (metadata.dev(), metadata.ino()))
        };
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let beside = entries.map(|entry| entry.path());
        let own = [&self.target, &self.backup()].map(Clone::clone);
        let known = QEMUS.iter().map(PathBuf::from).chain(beside);
        let mut found = Vec::new();
        for path in known.filter(is_it) {
            if !own.contains(&path) && !found.contains(&path) {
                found.push(path);
            }
        }
        let own = own.iter().filter(|it| is_it(it)).count();
        let links = usize::try_from(metadata.nlink()).unwrap_or(usize::MAX);
        OtherNames {
            count: links.saturating_sub(own),
            found,
        }
    }

    fn folder(&self) -> &Path {
        self.target.parent().unwrap_or(Path::new("/"))
    }

    /// Keeps other runs of this command out of the folder.
    ///
    /// # Errors
    ///
    /// Another one is there, or the folder cannot be opened.
    pub(crate) fn lock(&self) -> Result<Folder, Failure> {
        let folder = File::open(self.folder()).map_err(anyhow::Error::from);
        let folder = folder.and_then(|folder| {
            flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
            Ok(folder)
        });
        folder.map(Folder).map_err(|error| {
            Failure::new(
                format!("cannot lock {}: {error}", self.folder().display()),
                "wait until no other vgpu-stub qemu runs there",
            )
        })
    }

    /// A new file beside the QEMU, called `what`, with the owner and the
    /// permissions of `like`. It is gone again unless it is renamed.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn write_new(
        &self,
        what: &str,
        content: &mut dyn Read,
        like: Option<&Metadata>,
    ) -> Result<NewFile, Failure> {
        let path = self.beside(what);
        let cannot = format!("cannot write {}", path.display());
        // The folder is locked.
        let permissions = like.map_or(Permissions::Owner, Permissions::Like);
        NewFile::write(path, content, permissions).map_err(|error| {
            Failure::new(
                format!("{cannot}: {error}"),
                "run it as root, and see that the folder can be written and has room",
            )
        })
    }
}

/// Further names (hard links) of a file.
#[derive(Debug, Default)]
pub(crate) struct OtherNames {
    count: usize,
    found: Vec<PathBuf>,
}

impl OtherNames {
    /// What to say of those that start the old QEMU, where a new one is at
    /// `target`; none where there is no such name.
    pub(crate) fn note(&self, target: &Path) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let found: Vec<String> = self.found.iter().map(quoted).collect();
        let found = match found.is_empty() {
            true => String::new(),
            false => format!(": {}", found.join(" ")),
        };
        let target = quoted(target);
        Some(format!(
            "the old QEMU has {} other name(s){found}; who starts it so has no device; \
             find / -xdev -samefile {target}.vgpu-stub-backup shows all; ln -sf {target} NAME has it start this one",
            self.count
        ))
    }
}

/// A folder that is locked until this goes away.
#[derive(Debug)]
pub(crate) struct Folder(File);

impl Folder {
    /// Makes what was done in it last.
    ///
    /// # Errors
    ///
    /// The file system says that it cannot.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.0
            .sync_all()
            .or_mend("the change is made, but may not outlast a power cut: see the kernel's log")
    }
}

/// Tells the user, beside what is printed.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "note: {}", Printable(&line.to_string()));
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String, Failure> {
    let hash = || -> io::Result<String> {
        let mut hash = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hash)?;
        Ok(format!("{:x}", hash.finalize()))
    };
    hash().map_err(|error| {
        Failure::new(
            format!("cannot read {}: {error}", path.display()),
            "name a file that can be read, and run it as root",
        )
    })
}
