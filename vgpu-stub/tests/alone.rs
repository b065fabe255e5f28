//! The commands that run for as long as a VM are parsed without the definitions
//! of the others. Users see no difference.

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
