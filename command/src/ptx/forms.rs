//! `vgpu ptx forms`: the table of forms.

use std::process::ExitCode;

use serde::Serialize;
use vgpu_terminal::{Failure, print};

const EXAMPLES: &str = "\
Examples:
  vgpu ptx forms
  vgpu ptx forms add mad                those of two instructions
  vgpu ptx forms --json

[a b] stands for one of several words, {.a} for a word that may be left out, and {~.a} for one that
changes nothing. The section is that of the PTX ISA, 8.7.

Exit code: 0; 1 if there is no form of one of the instructions.";

/// List the forms of instructions that the engine knows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Only of these, such as add [default: all]
    #[arg(value_name = "INSTRUCTION")]
    instructions: Vec<String>,
}

#[derive(Serialize)]
struct Form {
    form: &'static str,
    section: &'static str,
}

/// The instruction of a form: its first word.
fn instruction(syntax: &str) -> &str {
    let end = syntax.find(['.', '{', ' ']);
    end.map_or(syntax, |end| &syntax[..end])
}

/// The forms of an instruction.
pub(super) fn of(wanted: &str) -> impl Iterator<Item = &'static str> {
    let syntaxes = vgpu_simt::forms().map(|form| form.syntax);
    syntaxes.filter(move |syntax| instruction(syntax) == wanted)
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let wanted = |form: &&vgpu_simt::Form| {
        let all = args.instructions.is_empty();
        all || args
            .instructions
            .iter()
            .any(|wanted| wanted == instruction(form.syntax))
    };
    let forms = vgpu_simt::forms().filter(wanted).map(|form| Form {
        form: form.syntax,
        section: form.section,
    });
    print("the forms", |out| {
        if args.json {
            serde_json::to_writer_pretty(&mut *out, &forms.collect::<Vec<_>>())?;
            return writeln!(out);
        }
        for Form { form, section } in forms {
            writeln!(out, "{section:10} {form}")?;
        }
        Ok(())
    })?;
    let unknown = args
        .instructions
        .iter()
        .find(|wanted| of(wanted).next().is_none());
    match unknown {
        None => Ok(ExitCode::SUCCESS),
        Some(unknown) => Err(Failure::new(
            format!("the engine knows no form of {unknown}"),
            "name an instruction by its first word, such as add; `vgpu ptx forms` lists all",
        )
        .with_code(1)),
    }
}
