//! Every seed and every former crash, without a fuzzer.

use std::fs;
use std::path::Path;

use vgpu_fuzz::{TARGETS, Target, execute};

/// Runs the files of a folder's, and returns how many there were.
fn replay(kind: &str, target: &Target) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(kind)
        .join(target.name);
    let Ok(files) = fs::read_dir(&folder) else {
        return 0;
    };
    let mut count = 0;
    for file in files {
        let file = file.unwrap().path();
        // Shown by a test that fails.
        println!("{}", file.display());
        execute(target, &fs::read(file).unwrap());
        count += 1;
    }
    count
}

/// One test, as a target counts the process's descriptors.
#[test]
fn all_of_them_hold() {
    for target in TARGETS {
        // What a fuzzer starts with.
        for byte in [0, 1, 0x20, 0x7f, 0xff] {
            for length in [0, 1, 2, 100, 4096] {
                execute(target, &vec![byte; length]);
            }
        }
        assert!(replay("seeds", target) > 0, "{} has no seed", target.name);
        replay("regressions", target);
    }
}
