//! The commands that become the emulator, as users see them.

use assert_cmd::cargo::cargo_bin_cmd;

/// What the program prints to standard output when it is called so.
fn said(arguments: [&str; 2]) -> String {
    let output = cargo_bin_cmd!("vgpu-stub")
        .args(arguments)
        .assert()
        .success();
    String::from_utf8(output.get_output().stdout.clone()).expect("it is text")
}

#[test]
fn their_help_is_that_of_the_whole_program() {
    for name in ["vfio-user", "xen"] {
        let help = said([name, "--help"]);
        assert!(
            help.contains(&format!("Usage: vgpu-stub {name} ")),
            "{help}"
        );
        assert_eq!(help, said(["help", name]));
    }
}

/// A number below 0 is a value out of range, not an option that does not exist.
#[test]
fn negative_numbers_are_out_of_range() {
    for arguments in [
        &["xen", "--domid", "-1"][..],
        &["xen", "--domid", "1", "--uid-base", "-1"],
        &["doctor", "--domid", "-1"],
        &["ctl", "set-status", "-1"],
        &["ctl", "--device", "-1", "info"],
    ] {
        let assert = cargo_bin_cmd!("vgpu-stub").args(arguments).assert().code(2);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.starts_with("error: invalid value '-1' for"), "{said}");
        assert!(said.contains("\nmend:  add --help"), "{said}");
    }
}
