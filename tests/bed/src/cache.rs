//! The cache outside the checkout: what was downloaded and built, shared by all clones of one user.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use vgpu_terminal::OrMend;

/// A folder that outlives checkouts.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Keeps other processes out until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Cache {
    /// The cache of this user: `$VGPU_STUB_CACHE`, or `$XDG_CACHE_HOME/vgpu-stub`, or `~/.cache/vgpu-stub`.
    ///
    /// # Errors
    /// When none of these is known, or the folder cannot be made.
    pub fn open() -> Result<Self> {
        let set = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = set("VGPU_STUB_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("vgpu-stub")))
            .or_else(|| env::home_dir().map(|dir| dir.join(".cache/vgpu-stub")))
            .ok_or_else(|| {
                anyhow!("no folder for the cache: neither HOME nor XDG_CACHE_HOME is set")
            })
            .or_mend("Set VGPU_STUB_CACHE to a folder with 2 GB of free space.")?;
        Self::at(&root)
    }

    /// The cache in folder `root`, which is made when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn at(root: &Path) -> Result<Self> {
        Ok(fs::create_dir_all(root)
            .and_then(|()| root.canonicalize())
            .with_context(|| format!("cannot make the cache folder {}", root.display()))
            .or_mend("Set VGPU_STUB_CACHE to a folder that you can write to.")
            .map(|root| Self { root })?)
    }

    /// The cache's own folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The folder `name` in the cache, made when it is missing. `name` may hold slashes.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.root.join(name);
        fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the folder {}", dir.display()))?;
        Ok(dir)
    }

    /// Waits until no other process holds the lock `name`, and takes it.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        let path = self.dir("locks")?.join(name.replace('/', "-"));
        let file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            eprintln!("waiting for another process that holds {}", path.display());
        }
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Lock { _file: file })
    }

    /// The folder `kind/key`; when it is missing, `make` fills an empty folder, which becomes it.
    ///
    /// An entry is complete or absent, whatever happens to the process, and is made once even when several want it.
    ///
    /// # Errors
    /// When `make` fails, or the folder cannot be written.
    pub fn entry(
        &self,
        kind: &str,
        key: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.dir(kind)?.join(key);
        if entry.is_dir() {
            return Ok(entry);
        }
        let _lock = self.lock(&format!("{kind}-{key}"))?;
        if entry.is_dir() {
            return Ok(entry);
        }
        // The lock makes it ours alone, so what a killed process left there can go.
        let partial = self.root.join(kind).join(format!(".{key}.partial"));
        remove_dir_all(&partial)?;
        fs::create_dir(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
        match make(&partial) {
            Ok(()) => {
                fs::rename(&partial, &entry)
                    .with_context(|| format!("cannot make {}", entry.display()))?;
                Ok(entry)
            }
            Err(error) => {
                remove_dir_all(&partial)?;
                Err(error)
            }
        }
    }

    /// As [`Cache::entry`], for a kind of which one entry is enough: once this one is there, the others are removed.
    ///
    /// # Errors
    /// As [`Cache::entry`].
    pub fn only_entry(
        &self,
        kind: &str,
        key: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.entry(kind, key, make)?;
        for other in fs::read_dir(self.dir(kind)?)? {
            let other = other?.path();
            // A hidden one is being made.
            if other != entry
                && !other
                    .file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            {
                remove_dir_all(&other)?;
            }
        }
        Ok(entry)
    }
}

/// The first 16 digits of the SHA-256 of `text`: part of a key for what would make a long or odd name.
#[must_use]
pub fn digest(text: impl AsRef<[u8]>) -> String {
    Sha256::digest(text)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Removes a folder; a missing one is fine.
fn remove_dir_all(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(&dir.path().join("cache")).unwrap();
        (dir, cache)
    }

    #[test]
    fn an_entry_is_made_once_by_many() {
        let (_dir, cache) = cache();
        let made = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let make = |dir: &Path| {
                        made.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(std::time::Duration::from_millis(20));
                        Ok(fs::write(dir.join("file"), "whole")?)
                    };
                    let entry = cache.entry("kind", "key", make).unwrap();
                    assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "whole");
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn a_failed_entry_leaves_nothing_and_can_be_made_again() {
        let (_dir, cache) = cache();
        let fail = |dir: &Path| {
            fs::write(dir.join("half"), "")?;
            bail!("no network")
        };
        assert_eq!(
            cache.entry("kind", "key", fail).unwrap_err().to_string(),
            "no network"
        );
        assert_eq!(fs::read_dir(cache.path().join("kind")).unwrap().count(), 0);

        // A process killed in the middle leaves its folder.
        fs::create_dir_all(cache.path().join("kind/.key.partial/old")).unwrap();
        let entry = cache.entry("kind", "key", |_| Ok(())).unwrap();
        assert_eq!(fs::read_dir(entry).unwrap().count(), 0);
        assert_eq!(fs::read_dir(cache.path().join("kind")).unwrap().count(), 1);
    }
}
