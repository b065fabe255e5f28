//! The command, and a folder with the library under both of its names.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// A folder with our library, as it is installed.
pub(crate) struct Library(tempfile::TempDir);

impl Library {
    pub(crate) fn new() -> Self {
        let test = std::env::current_exe().unwrap();
        let library = test.with_file_name("libcuda.so");
        assert!(library.is_file(), "{}", library.display());
        let folder = tempfile::tempdir().unwrap();
        for name in ["libcuda.so", "libcuda.so.1"] {
            symlink(&library, folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The command, without what the tests' own environment says.
pub(crate) fn vgpu() -> Command {
    let mut vgpu = Command::new(env!("CARGO_BIN_EXE_vgpu"));
    vgpu.env_remove("VGPU_LOCAL").env_remove("VGPU_TRACE");
    vgpu
}

/// The command of a program that is this test's executable, by a test's name.
pub(crate) fn with_program(words: &[&str], library: &Library, name: &str) -> Command {
    let mut vgpu = vgpu();
    vgpu.args(words)
        .arg("--library")
        .arg(library.path())
        .arg("--");
    vgpu.arg(std::env::current_exe().unwrap());
    vgpu.args(["--exact", "program", "--nocapture", "--test-threads=1"]);
    vgpu.env("PROGRAM", name);
    vgpu
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Cause and mend that it said, with this exit code.
pub(crate) fn refused(output: &Output, code: i32) -> (String, String) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let lines: Vec<_> = said.lines().collect();
    let [cause, mend] = lines[..] else {
        panic!("{said}");
    };
    let cause = cause.strip_prefix("error: ").expect("a cause").to_owned();
    let mend = mend.strip_prefix("mend:  ").expect("a mend").to_owned();
    assert!(!cause.ends_with(": "), "{said}");
    (cause, mend)
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs: a zombie does not.
pub(crate) fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

pub(crate) fn corpus(path: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/");
    Path::new(root).join(path)
}
