//! `vgpu sim`, and what operators ask where no daemon is.

mod common;

use std::fs;

use common::{refused, text, vgpu};

const THIRTY: &str = "\
seconds = 10
switch-us = 60

[[vm]]
name = \"flood\"
kernel-us = 500

[[vm]]
name = \"desk\"
count = 29
priority = \"high\"
kernel-us = [50, 400]
every-us = 50000
";

#[test]
fn thirty_machines_are_simulated_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thirty.toml");
    fs::write(&path, THIRTY).unwrap();
    let output = vgpu().arg("sim").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 1 + 30 + 2, "{table}");
    assert!(table.contains("\ndesk-29  "), "{table}");
    let output = vgpu().args(["sim", "--json"]).arg(&path).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let machines = report["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 30);
    assert!(
        machines[1..]
            .iter()
            .all(|vm| vm["p99_ms"].as_f64().unwrap() < 6.0),
        "{report}"
    );

    for (wrong, said) in [
        (
            THIRTY.replace("count = 29", "count = \"29\""),
            "thirty.toml:10: ",
        ),
        (
            THIRTY.replace("seconds = 10", "seconds = 0"),
            "seconds are from 1",
        ),
    ] {
        fs::write(&path, wrong).unwrap();
        let (cause, _) = refused(&vgpu().arg("sim").arg(&path).output().unwrap(), 2);
        assert!(cause.contains(said), "{cause}");
    }
}

#[test]
fn without_a_daemon_operators_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let nil = "00000000-0000-0000-0000-000000000000";
    for words in [
        &["status"][..],
        &["top"],
        &["metrics"],
        &["reload"],
        &["quarantine", nil],
    ] {
        let mut vgpu = vgpu();
        let output = vgpu
            .args(words)
            .arg("--control")
            .arg(&path)
            .output()
            .unwrap();
        let (cause, mend) = refused(&output, 2);
        assert!(
            cause.contains("no answer at ") && mend.contains("vgpud link"),
            "{cause}{mend}"
        );
    }
}
