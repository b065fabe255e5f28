//! Each command's help has an example and its exit codes, and a wrong call
//! tells its cause and a mend.

use std::process::Command;

use clap::Command as Definition;

/// The words of each command that is not hidden.
fn commands() -> Vec<Vec<String>> {
    fn collect(words: &[String], command: &Definition, found: &mut Vec<Vec<String>>) {
        found.push(words.to_vec());
        for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let words = [words, &[command.get_name().to_owned()]].concat();
            collect(&words, command, found);
        }
    }
    let mut found = Vec::new();
    collect(&[], &vgpu_stub::command(), &mut found);
    found
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
    program.env_remove("VGPU_STUB_CONTROL");
    program
}

#[test]
fn each_help_has_an_example_and_the_exit_codes() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for words in commands {
        let output = program().args(&words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{words:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let example = format!("\n  vgpu-stub {}", words.join(" "));
        // Options may stand before a subcommand.
        let example = example.rsplit_once(" ").map_or("", |(start, _)| start);
        assert!(help.contains(example), "{words:?}: {example:?}: {help}");
        assert!(help.contains("\nExit code:"), "{words:?}: {help}");
    }
}

#[test]
fn a_wrong_call_tells_cause_and_mend() {
    for (words, cause) in [
        (&["xne"][..], "unrecognized subcommand 'xne'"),
        (
            &["xcp", "enable"],
            "the following required arguments were not provided: <VM>",
        ),
        (&["xen"], "arguments were not provided: --domid <N>"),
        (
            &["xen", "--domid", "0"],
            "expected a number from 1 to 32751",
        ),
        (
            &["xen", "--domid", "32752"],
            "expected a number from 1 to 32751",
        ),
        (
            &["xen", "--domid", "5", "--uid-base", "0"],
            "expected a number from 65536 to 4294934543",
        ),
        (
            &["xen", "--domid", "5", "--uid-base", "4294967295"],
            "expected a number from 65536 to 4294934543",
        ),
        (
            &["xen", "--domid", "5", "--clean-up", "--control", "/run/x"],
            "cannot be used with",
        ),
        (&["check", "--jsno"], "unexpected argument '--jsno' found"),
        (
            &["vfio-user", "--socket", "/s", "--device", "bar0-size=12"],
            "bar0-size=12: BAR0 cannot be 12 bytes",
        ),
        (
            &["doctor", "--guest", "--domid", "3"],
            "cannot be used with",
        ),
        (
            &["cloudstack", "--hypervisor", "vmware"],
            "[possible values:",
        ),
        (&["ctl", "info"], "no control socket is given"),
        (
            &["ctl", "--control", "/nowhere", "info"],
            "cannot connect to \"/nowhere\"",
        ),
        (
            &["vfio-user", "--socket", "/nowhere/s"],
            "there is no folder \"/nowhere\"",
        ),
        (
            &["vfio-user", "--socket", "/run/x", "--control", "/run/x"],
            "--socket and --control are the same path",
        ),
        (
            &["xl-config", "--device", "slot=99"],
            "--device: slot=99: slot 0x63",
        ),
        (
            &["xl-config", "--device-model", "relative"],
            "--device-model \"relative\" is no full path",
        ),
        (
            &["xl-config", "--device-model", "/a\"b"],
            "is no full path of plain text",
        ),
        (
            &["qemu", "status", "--to", "/nowhere"],
            "/nowhere: No such file",
        ),
        (
            &["qemu", "install", "--from", "/", "--to", "/usr/bin/env"],
            "/ is not a file",
        ),
        (
            &[
                "qemu",
                "install",
                "--from",
                "/usr/bin/env",
                "--to",
                "/usr/bin/false",
            ],
            "cannot be told to be a QEMU: it failed (exit status: 1)",
        ),
        (
            &["doctor", "--qmp", "/etc/passwd"],
            "this is no socket: /etc/passwd",
        ),
        (
            &[
                "cloudstack",
                "--hypervisor",
                "kvm",
                "--cloudstack-version",
                "4.1",
            ],
            "CloudStack 4.1.0 has no setting",
        ),
    ] {
        let output = program().args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        let lines: Vec<_> = said.lines().collect();
        let [first, second] = lines[..] else {
            panic!("{words:?}: {said}");
        };
        assert!(
            first.starts_with("error: ") && first.contains(cause),
            "{words:?}: {said}"
        );
        assert!(!first.ends_with(": "), "{words:?}: {said}");
        assert!(second.starts_with("mend:  "), "{words:?}: {said}");
    }
}

#[test]
fn without_its_tools_xcp_says_where_to_run() {
    for words in [&["enable", "vm"][..], &["disable", "vm"], &["list"]] {
        let mut program = program();
        let output = program.arg("xcp").args(words).env("PATH", "").output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: cannot run xe: "), "{said}");
        assert!(
            said.ends_with("mend:  run this as root in dom0 of an XCP-ng host\n"),
            "{said}"
        );
    }
}
