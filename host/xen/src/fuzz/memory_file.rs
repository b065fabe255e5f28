//! Files that are in memory alone.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

/// A file in memory, and a path that opens it.
pub(super) fn memory_file() -> (File, PathBuf) {
    let file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}
