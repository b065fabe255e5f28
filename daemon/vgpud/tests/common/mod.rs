//! What several of these tests use.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::PathBuf;

/// A program of `examples/`, which is built with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let path = path.with_file_name(format!("../examples/{name}"));
    assert!(path.is_file(), "{}", path.display());
    path
}
