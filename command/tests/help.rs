//! Each command's help has an example and its exit codes, and a wrong call
//! tells its cause and a mend.

mod common;

use clap::Command as Definition;
use common::{refused, text, vgpu};

fn commands() -> Vec<Vec<String>> {
    fn collect(words: &[String], command: &Definition, found: &mut Vec<Vec<String>>) {
        found.push(words.to_vec());
        for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let words = [words, &[command.get_name().to_owned()]].concat();
            collect(&words, command, found);
        }
    }
    let mut found = Vec::new();
    collect(&[], &vgpu_command::command(), &mut found);
    found
}

#[test]
fn each_help_has_an_example_and_the_exit_codes() {
    let commands = commands();
    assert_eq!(commands.len(), 19, "{commands:?}");
    for words in commands {
        let output = vgpu().args(&words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{words:?}");
        let help = text(&output.stdout);
        let example = format!("\n  vgpu {}", words.join(" "));
        assert!(help.contains(example.trim_end()), "{words:?}: {help}");
        assert!(help.contains("\nExit code:"), "{words:?}: {help}");
    }
}

/// clap breaks a longer line again, in the middle of a sentence.
#[test]
fn no_line_of_a_help_is_broken_twice() {
    fn each(command: &Definition) {
        let text = command.get_after_help().unwrap().to_string();
        for line in text.lines() {
            assert!(line.len() <= 100, "{}: {line}", command.get_name());
        }
        command.get_subcommands().for_each(each);
    }
    each(&vgpu_command::command());
}

#[test]
fn a_wrong_call_tells_cause_and_mend() {
    for (words, code, cause) in [
        (&["rnu"][..], 2, "unrecognized subcommand 'rnu'"),
        (&["run"], 125, "arguments were not provided: <PROGRAM>..."),
        (
            &["run", "--engine", "gpu", "true"],
            125,
            "invalid value 'gpu' for '--engine",
        ),
        (&["trace"], 125, "arguments were not provided: <FILE>"),
        (&["trace", "a", "--", "b"], 125, "cannot be used with"),
        (&["trace", "--calls", "a"], 125, "cannot be used with"),
        (
            &["ptx", "check"],
            2,
            "arguments were not provided: <FILE>...",
        ),
        (
            &["ptx", "check", "--jsno", "x"],
            2,
            "unexpected argument '--jsno' found",
        ),
        (&["ping", "--region", "3M"], 2, "not a multiple of 2M"),
        (&["ping", "--bytes", "1X"], 2, "not a size such as 512M"),
    ] {
        let (said, _) = refused(&vgpu().args(words).output().unwrap(), code);
        assert!(said.contains(cause), "{words:?}: {said}");
    }
}
