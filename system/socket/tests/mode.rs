//! The mode of the socket's file. It has a process of its own, as the umask
//! is the process's.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::Mode;
use rustix::process::umask;
use tempfile::TempDir;
use vgpu_socket::Listener;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_mode_is_exact_whatever_the_umask_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    for mask in [0, 0o022, 0o077, 0o777] {
        umask(Mode::from_raw_mode(mask));
        for wanted in [0o600, 0o660, 0o666, 0o777] {
            let _listener = Listener::bind(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted, "umask {mask:o}");
        }
    }

    // At no moment is it open to more than it should be.
    umask(Mode::empty());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok(metadata) = fs::metadata(&path) {
                    assert!(metadata.file_type().is_socket());
                    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
                }
            }
        });
        for _ in 0..2000 {
            drop(Listener::bind(&path, 0o600).unwrap());
        }
        over.store(true, Ordering::Relaxed);
    });
}
