//! Completions of shells, made of the command's own definition.

use clap::Command;
use clap_complete::Shell;

/// The shell's completions for the command, without what its help hides.
pub(crate) fn of(command: &Command, shell: Shell) -> Vec<u8> {
    let version = command.get_version().unwrap_or_default().to_owned();
    let mut visible = visible(command).version(version).propagate_version(true);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut visible, command.get_name(), &mut text);
    text
}

/// The command as clap_complete needs it, which would offer hidden arguments and subcommands too.
fn visible(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|it| !it.is_hide_set());
    let commands = command.get_subcommands().filter(|it| !it.is_hide_set());
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments.cloned())
        .subcommands(commands.map(visible))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_help_hides_is_not_completed() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(of(&vgpu_stub::command(), shell)).unwrap();
            for shown in ["domid", "trace", "rollback"] {
                assert!(text.contains(shown), "{shell}: {shown}: {text}");
            }
            for hidden in ["serving", "detached", "vm-pre-start", "sysfs"] {
                assert!(!text.contains(hidden), "{shell}: {hidden}: {text}");
            }
        }
    }
}
