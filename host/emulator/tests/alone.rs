//! Nothing of the operator's command is in the program that guests reach.

use std::fs;
use std::process::Command;

use vgpu_emulator::Call;

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
        let mut command = Command::new(PROGRAM);
        let output = command.arg(word).arg(Call::version_word()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2), "{word}");
        assert!(output.stdout.is_empty(), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        let cause = format!("error: vgpu-emulator: {word:?} is none of its subcommands\n");
        assert!(said.starts_with(&cause), "{said}");
        assert!(said.contains("\nmend:  start it by vgpu-stub"), "{said}");
    }
}

/// As after half an upgrade: nobody is served, and one line tells why.
#[test]
fn a_command_of_another_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vgpu.sock");
    let vfio_user = ["--socket", socket.to_str().unwrap()];
    let xen = ["--detached", "--domid", "7"];
    let cause = "vgpu-emulator: it is called in version \"1\", and understands version 2";
    for (words, printed) in [
        (("vfio-user", &vfio_user[..]), String::new()),
        // Who starts it waits for this line.
        (("xen", &xen), format!("failed: {cause}\n")),
    ] {
        let mut command = Command::new(PROGRAM);
        let output = command
            .args([words.0, "--call=1", "--later=5"])
            .args(words.1)
            .output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!(
                "error: {cause}\n\
                 mend:  start it by vgpu-stub; where that has started it, install the package again: \
                 both programs have to be of one release\n"
            )
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
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
