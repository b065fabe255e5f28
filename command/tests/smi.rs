//! `vgpu smi` where there is no machine: what a program of `vgpu run` finds.

mod common;

use common::{Library, refused, text, vgpu};

fn of_a_program(words: &[&str]) -> String {
    let library = Library::new();
    let mut run = vgpu();
    run.args(["run", "--library"]).arg(library.path());
    run.args(["--", env!("CARGO_BIN_EXE_vgpu"), "smi"]);
    let output = run.args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_program_without_a_machine_has_a_device_and_no_driver() {
    let said = of_a_program(&["--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["uuid"], "GPU-76677075-2070-726f-6365-73736f72732e");
    assert_eq!(said["memory"], 4_u64 << 30);
    assert_eq!(said["memory_used"], 0);
    let name = said["device"].as_str().unwrap();
    assert!(!name.is_empty() && !name.contains('\0'), "{name:?}");
    for unknown in [
        "node",
        "address",
        "abi",
        "host",
        "utilisation",
        "processes",
        "processes_all",
    ] {
        assert!(said[unknown].is_null(), "{unknown}: {said}");
    }
    let shown = of_a_program(&[]);
    assert!(
        shown.contains(&format!("device        {name}\n")),
        "{shown}"
    );
    assert!(
        shown.contains("\nmemory        0 B of 4.0 GiB\n"),
        "{shown}"
    );
}

#[test]
fn where_there_is_no_device_that_is_said() {
    let output = vgpu()
        .arg("smi")
        .env("VGPU_LOCAL", "none")
        .output()
        .unwrap();
    let (cause, mend) = refused(&output, 2);
    assert!(
        cause.contains("no vgpu daemon: VGPU_LOCAL is `none`"),
        "{cause}"
    );
    assert!(mend.contains("lspci -d 1af4:1111"), "{mend}");
    assert!(output.stdout.is_empty());
}
