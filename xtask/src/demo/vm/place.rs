//! The folder of all temporary files of a demonstration, which also goes when that is interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The folder, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    kept: Arc<AtomicBool>,
}

impl Place {
    /// Makes it, and has this process end by SIGINT, SIGTERM and SIGHUP without leaving it. What this process has started ends
    /// with it.
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("vgpu-demo-").tempdir();
        let path = folder.context("cannot make a temporary folder")?.keep();
        tempfile::env::override_temp_dir(&path)
            .map_err(|other| anyhow!("temporary files go to {}", other.display()))?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let folder = path.clone();
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let _ = fs::remove_dir_all(folder);
                eprintln!("interrupted: all is ended");
                exit(128 + signal);
            }
        });
        Ok(Self {
            path,
            kept: Arc::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it where it is, at the end.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
