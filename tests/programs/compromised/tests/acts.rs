//! Each act comes to what the book says, in the sandbox of production.

use std::fs;
use std::path::Path;

use vgpu_compromised::{ACTS, Process, page, try_all};

/// All that go wrong, in this process's sandbox.
fn tried(process: Process) -> String {
    let mut said = Vec::new();
    let program = Path::new(env!("CARGO_BIN_EXE_vgpu-compromised"));
    let wrong = try_all(program, process, None, &mut said).unwrap();
    let said = String::from_utf8(said).unwrap();
    println!("{said}");
    assert!(said.lines().count() > 90, "{said}");
    assert_eq!(wrong, said.matches("WRONG").count());
    said.lines()
        .filter(|line| line.ends_with("WRONG"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn of_the_process_that_answers_a_guest_of_xen() {
    assert_eq!(tried(Process::Xen), "");
}

#[test]
fn of_the_vfio_user_server() {
    assert_eq!(tried(Process::VfioUser), "");
}

#[test]
fn of_the_vfio_user_server_of_a_device_with_features() {
    assert_eq!(tried(Process::VfioUserFeatures), "");
}

#[test]
fn of_a_cuda_programs_worker() {
    assert_eq!(tried(Process::Worker), "");
}

/// It is the sandbox that ends them.
#[test]
fn without_a_sandbox_none_is_ended() {
    assert_eq!(tried(Process::None), "");
}

#[test]
fn each_is_named_once() {
    for (index, act) in ACTS.iter().enumerate() {
        let same = ACTS[..index].iter().find(|other| other.what == act.what);
        assert!(same.is_none(), "{}", act.what);
    }
}

#[test]
fn the_book_has_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/sandbox.md");
    let book = fs::read_to_string(path).unwrap();
    assert!(
        book.contains(&page()),
        "docs/sandbox.md needs the table that this prints: cargo run -p vgpu-compromised page"
    );
}
