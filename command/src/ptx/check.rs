//! `vgpu ptx check`: whether files load, and what of them does not.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use vgpu_device_memory::Memory;
use vgpu_engine::{Engine, ErrorKind};
use vgpu_engine_cpu::{Config, CpuEngine};
use vgpu_ptx::ErrorKind as Why;
use vgpu_terminal::{Failure, Printable, print};

use super::forms;

const EXAMPLES: &str = "\
Examples:
  vgpu ptx check kernel.ptx
  vgpu ptx check --json build/*.ptx | jq '.[] | select(.errors != [])'

JSON: a list with an object for each file: file, kernels, errors. An error has cause and mend, and,
where it is of the text, line and column, and form: the instruction's words.

Exit code: 0 if the engine takes all files, 1 if it does not take one, 2 if one cannot be read; the
others are checked all the same.";

/// The most errors of a file.
const MOST: usize = 100;

/// Check whether the engine takes files with PTX
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Files with PTX
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    /// Names, where the file is taken.
    kernels: Vec<String>,
    errors: Vec<Error>,
}

#[derive(Debug, Serialize)]
struct Error {
    line: Option<u32>,
    column: Option<u32>,
    form: Option<String>,
    cause: String,
    mend: String,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut unread = Vec::new();
    let mut look = |path: &PathBuf| match fs::read(path) {
        Ok(image) => Some(check(path, &image)),
        Err(error) => {
            let cause = format!("cannot read {}: {error}", path.display());
            let failure = Failure::new(cause, "name files with PTX that this user may read");
            let error = Error::new(&failure.cause, &failure.mend);
            unread.push(failure);
            // Text says it once, on stderr.
            args.json.then(|| Checked::refused(path, vec![error]))
        }
    };
    let all: Vec<_> = args.files.iter().filter_map(&mut look).collect();
    print("the report", |out| {
        if args.json {
            serde_json::to_writer_pretty(&mut *out, &all)?;
            return writeln!(out);
        }
        all.iter().try_for_each(|checked| checked.write(out))
    })?;
    if let Some((last, others)) = unread.split_last() {
        others.iter().for_each(Failure::print);
        return Ok(last.report());
    }
    let failed = all.iter().any(|checked| !checked.errors.is_empty());
    Ok(ExitCode::from(u8::from(failed)))
}

fn check(path: &Path, image: &[u8]) -> Checked {
    let error = match CpuEngine::new(&Config::default()).module_load(image) {
        Ok(module) => {
            let names = module.functions.into_iter().map(|function| function.name);
            return Checked {
                kernels: names.collect(),
                ..Checked::refused(path, Vec::new())
            };
        }
        Err(error) => error,
    };
    let of_text = match error.kind {
        ErrorKind::InvalidPtx => of_text(image),
        _ => Vec::new(),
    };
    let errors = match of_text.is_empty() {
        true => vec![Error::of_image(&error)],
        false => of_text,
    };
    Checked::refused(path, errors)
}

/// All that is wrong with a text, as far as it is looked at.
fn of_text(image: &[u8]) -> Vec<Error> {
    let end = image.iter().position(|byte| *byte == 0);
    let text = std::str::from_utf8(&image[..end.unwrap_or(image.len())]).unwrap_or_default();
    let config = Config::default();
    let (first, last) = config.addresses;
    let mut memory = Memory::new(first, last, config.memory);
    let checked = vgpu_ptx::parse(text)
        .map_err(vgpu_simt::LoadError::from)
        .and_then(|module| vgpu_simt::Program::check(&module, &mut memory, MOST));
    match checked {
        Ok(errors) => errors.iter().map(Error::of_place).collect(),
        Err(vgpu_simt::LoadError::Ptx(error)) => vec![Error::of_place(&error)],
        Err(error @ vgpu_simt::LoadError::Memory(_)) => {
            vec![Error::new(&error.to_string(), "use a smaller module")]
        }
    }
}

/// What to do about an error of a text.
fn mend(why: &Why) -> String {
    let instruction = |form: &str| form.split('.').next().unwrap_or_default().to_owned();
    match why {
        Why::UnknownForm(form) | Why::Operand { form, .. } => {
            let instruction = instruction(form);
            let known: Vec<_> = forms::of(&instruction).collect();
            match known.is_empty() {
                true => format!(
                    "the engine knows no form of {instruction}: write it by others, which `vgpu ptx forms` lists"
                ),
                false => format!("write it as one of these: {}", known.join("; ")),
            }
        }
        Why::Undeclared(name) => format!("declare {name} before it is used"),
        Why::Duplicate(name) => format!("give one of both another name than {name}"),
        Why::TooLarge { limit, .. } => format!("let it be {limit} at most"),
        Why::Unsupported(what) => format!("write it without {what}"),
        _ => "write it as the PTX ISA does".to_owned(),
    }
}

impl Error {
    fn of_image(error: &vgpu_engine::Error) -> Self {
        let mend = match error.kind {
            ErrorKind::InvalidImage => "name a file with PTX, whose text begins with .version",
            _ => "use a smaller module",
        };
        Self::new(&error.to_string(), mend)
    }

    /// Of a text that has its mend after its cause, or else this mend.
    fn new(text: &str, mend: &str) -> Self {
        let (cause, mend) = text.split_once(". ").unwrap_or((text, mend));
        Self {
            line: None,
            column: None,
            form: None,
            cause: cause.to_owned(),
            mend: mend.to_owned(),
        }
    }

    fn of_place(error: &vgpu_ptx::Error) -> Self {
        let form = match &error.kind {
            Why::UnknownForm(form) | Why::Operand { form, .. } => Some(form.clone()),
            _ => None,
        };
        Self {
            line: Some(error.position.line),
            column: Some(error.position.column),
            form,
            cause: error.kind.to_string(),
            mend: mend(&error.kind),
        }
    }
}

impl Checked {
    fn refused(path: &Path, errors: Vec<Error>) -> Self {
        Self {
            file: path.to_string_lossy().into_owned(),
            kernels: Vec::new(),
            errors,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let file = Printable(&self.file);
        if self.errors.is_empty() {
            let names = self.kernels.join(", ");
            return writeln!(out, "{file}: taken; kernels: {}", Printable(&names));
        }
        for error in &self.errors {
            let place = match (error.line, error.column) {
                (Some(line), Some(column)) => format!(":{line}:{column}"),
                _ => String::new(),
            };
            writeln!(out, "{file}{place}: {}", Printable(&error.cause))?;
            writeln!(out, "  mend: {}", Printable(&error.mend))?;
        }
        match self.errors.len() {
            MOST => writeln!(out, "{file}: no more than {MOST} errors are shown"),
            _ => Ok(()),
        }
    }
}
