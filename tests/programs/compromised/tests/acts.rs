//! Each act comes to what the book says, in the sandbox of production.

use std::fs;
use std::path::Path;

use vgpu_compromised::{ACTS, Process, page, policies, try_all};

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

/// Of whichever kind that a machine's may be: they have one policy.
#[test]
fn of_a_virtual_machines_worker() {
    assert_eq!(tried(Process::OfMachine), "");
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

/// `UPDATE=1` writes them there.
#[test]
fn the_book_has_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/sandbox.md");
    let mut book = fs::read_to_string(path).unwrap();
    for table in [policies(), page()] {
        let (head, _) = table.split_once('\n').unwrap();
        let is_there = book.contains(&table);
        if !is_there && std::env::var_os("UPDATE").is_some() {
            book = with(&book, head, &table);
            fs::write(path, &book).unwrap();
        } else {
            assert!(
                is_there,
                "docs/sandbox.md is out of date: UPDATE=1 writes it"
            );
        }
    }
}

/// A page whose table with this first line is another one.
fn with(page: &str, head: &str, table: &str) -> String {
    let begins = head.split(" | ").next().unwrap();
    let start = page.find(begins).expect("the table's first line");
    let end = page[start..]
        .find("\n\n")
        .map_or(page.len(), |end| start + end + 1);
    [&page[..start], table, &page[end..]].concat()
}
