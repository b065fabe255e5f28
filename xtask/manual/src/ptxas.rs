//! `vgpu-ptxas` as a command: its command line is that of another program, so it is read in its own way.

use clap::{Arg, ArgAction, Command};
use vgpu_ptxas::options::{Known, OPTIONS};

/// The command.
pub(crate) fn command() -> Command {
    let own = |known: &&Known| !["help", "version"].contains(&known.long);
    let arguments = OPTIONS.iter().filter(own).map(argument);
    let input = Arg::new("input").value_name("INPUT.ptx").required(true);
    Command::new(vgpu_ptxas::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(vgpu_ptxas::ABOUT)
        .override_usage(vgpu_ptxas::USAGE)
        .after_help(vgpu_ptxas::NOTES)
        .arg(input.help("The PTX"))
        .args(arguments)
}

fn argument(known: &Known) -> Arg {
    let argument = Arg::new(known.long).long(known.long);
    let argument = match known.value {
        Some(value) => argument.value_name(value),
        None => argument.action(ArgAction::SetTrue),
    };
    // What is longer than a letter clap knows no short option of.
    let Some(short) = known.short else {
        return argument.help(known.about);
    };
    let mut letters = short.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => argument.short(letter).help(known.about),
        _ => argument.help(format!("{}; or -{short}", known.about)),
    }
}
