//! Nothing of the operator's command is in the program that guests reach.

use std::fs;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vgpu-emulator");

#[test]
fn it_has_no_subcommand_of_the_operator_s() {
    for word in [
        "check",
        "cloudstack",
        "ctl",
        "doctor",
        "qemu",
        "xcp",
        "xl-config",
        "help",
        "--help",
    ] {
        let output = Command::new(PROGRAM).arg(word).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{word}");
        assert!(output.stdout.is_empty(), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        let cause = format!("error: vgpu-emulator: {word:?} is none of its subcommands\n");
        assert!(said.starts_with(&cause), "{said}");
        assert!(said.contains("\nmend:  start it by vgpu-stub"), "{said}");
    }
}

/// What a guest that has taken over the process could call.
#[test]
fn nothing_of_the_operator_s_is_linked() {
    let program = fs::read(PROGRAM).unwrap();
    let has = |text: &str| program.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(has("none of its subcommands"), "what is there is found");
    for text in ["cloudstack", "xenguest", "/bin/modprobe", "clap_builder"] {
        assert!(!has(text), "{text}");
    }
}
