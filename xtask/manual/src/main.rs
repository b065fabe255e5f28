//! Writes the manual pages and completions of a command: `vgpu-manual COMMAND FOLDER`.
//!
//! A program of its own, so that `cargo xtask` is built without the commands: it runs this one for packages alone.
#![forbid(unsafe_code)]

mod completions;
mod manual;
mod ptxas;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap_complete::Shell;

/// The commands that have a manual.
const COMMANDS: [fn() -> clap::Command; 4] = [
    vgpu_stub::command,
    vgpu_command::command,
    vgpud::cli::command,
    ptxas::command,
];

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes pages to `man1/`, and each shell's completions to a file of its name.
fn run(arguments: &[String]) -> Result<()> {
    let [name, folder] = arguments else {
        bail!("give a command and a folder");
    };
    let mut commands = COMMANDS.into_iter().map(|command| command());
    let command = commands
        .find(|command| command.get_name() == name)
        .with_context(|| format!("there is no command {name}"))?;
    let folder = Path::new(folder);
    let pages = folder.join("man1");
    fs::create_dir_all(&pages).with_context(|| pages.display().to_string())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        fs::write(
            folder.join(shell.to_string()),
            completions::of(&command, shell),
        )?;
    }
    for (name, page) in manual::pages(command)? {
        fs::write(pages.join(format!("{name}.1")), page)?;
    }
    Ok(())
}
