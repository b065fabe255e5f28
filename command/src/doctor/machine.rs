//! A guest's files, below its root folder.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// What is read of a file: all of any that the kernel makes, but for its log.
const MOST: u64 = 4 << 20;
/// A record of the kernel's log is read as a whole or not at all; none is larger.
const LARGEST_RECORD: usize = 8 << 10;
/// Records that are looked at: more than a kernel keeps.
const RECORDS: usize = 1 << 20;

/// The guest that this runs in; another folder in tests.
#[derive(Debug)]
pub(super) struct Guest {
    root: PathBuf,
}

impl Guest {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Whether this is the machine itself, whose device can be asked.
    pub(super) fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a file is, by its absolute path.
    pub(super) fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root
            .join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file's text, or none.
    pub(super) fn text(&self, path: &str) -> String {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(self.path(path)) {
            let _ = file.take(MOST).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The folders of this guest's devices of ours, in `/sys/bus/pci/devices`, by address.
    pub(super) fn devices(&self) -> Vec<PathBuf> {
        let folder = fs::read_dir(self.path(vgpu_node::DEVICES));
        let entries = folder.into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| vgpu_node::is_device(path))
            .collect();
        found.sort();
        found
    }

    /// The newest line of the kernel's log with these words, if the log may be read.
    pub(super) fn kernel_says(&self, words: &str) -> Option<String> {
        // The log has no end: without this flag a read waits for the next record.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = fs::File::options();
        let opened = options.read(true).custom_flags(flags);
        let mut log = opened.open(self.path("/dev/kmsg")).ok()?;
        let mut text = Vec::new();
        let mut record = [0; LARGEST_RECORD];
        for _ in 0..RECORDS {
            match log.read(&mut record) {
                Ok(0) => break,
                Ok(length) => text.extend_from_slice(&record[..length]),
                // The oldest was overwritten just now; the next read goes on.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().filter(|line| line.contains(words));
        let line = lines.next_back()?;
        Some(
            line.split_once(';')
                .map_or(line, |(_, said)| said)
                .to_owned(),
        )
    }
}
