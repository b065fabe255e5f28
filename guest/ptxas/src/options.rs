//! The command line of `ptxas`, as far as programs use it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Help,
    Version,
    Compile(Compile),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compile {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) gpu: Option<String>,
}

/// What an option is for.
#[derive(Clone, Copy)]
enum Means {
    Help,
    Version,
    Output,
    Gpu,
    /// Advice for a compiler, with no value.
    Flag,
    /// Advice for a compiler, with a value.
    Value,
}

/// The options by their long and their short names.
const OPTIONS: &[(&str, &str, Means)] = &[
    ("help", "h", Means::Help),
    ("version", "V", Means::Version),
    ("output-file", "o", Means::Output),
    ("gpu-name", "arch", Means::Gpu),
    ("verbose", "v", Means::Flag),
    ("generate-line-info", "lineinfo", Means::Flag),
    ("suppress-debug-info", "suppress-debug-info", Means::Flag),
    ("device-debug", "g", Means::Flag),
    ("compile-only", "c", Means::Flag),
    ("disable-warnings", "w", Means::Flag),
    ("warn-on-spills", "warn-spills", Means::Flag),
    ("opt-level", "O", Means::Value),
    ("fmad", "fmad", Means::Value),
    ("maxrregcount", "maxrregcount", Means::Value),
    ("machine", "m", Means::Value),
    ("def-load-cache", "dlcm", Means::Value),
    ("def-store-cache", "dscm", Means::Value),
    ("regAllocOptLevel", "regAllocOptLevel", Means::Value),
];

fn find(name: &str) -> Option<Means> {
    let named = |(long, short, _): &&(&str, &str, Means)| name == *long || name == *short;
    OPTIONS.iter().find(named).map(|(.., means)| *means)
}

/// Reads a command line.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action> {
    let mut arguments = arguments;
    let (mut input, mut output, mut gpu) = (None, None, None);
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.to_str().filter(|text| text.starts_with('-')) else {
            if input.replace(PathBuf::from(&argument)).is_some() {
                bail!("more than one input file: {}", argument.display());
            }
            continue;
        };
        let name = option.trim_start_matches('-');
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            // -O3
            None if name.len() == 2 && name.starts_with('O') => ("O", Some(name[1..].into())),
            None => (name, None),
        };
        let Some(means) = find(name) else {
            bail!("unknown option {option}; vgpu-ptxas --help shows the known ones");
        };
        let mut value = || {
            let found = value.clone().or_else(|| arguments.next());
            found.ok_or_else(|| anyhow::anyhow!("{option} needs a value"))
        };
        match means {
            Means::Help => return Ok(Action::Help),
            Means::Version => return Ok(Action::Version),
            Means::Flag => {}
            Means::Value => drop(value()?),
            Means::Output => output = Some(PathBuf::from(value()?)),
            Means::Gpu => gpu = Some(value()?.to_string_lossy().into_owned()),
        }
    }
    let Some(input) = input else {
        bail!("no input file; vgpu-ptxas --help shows how it is called");
    };
    let Some(output) = output else {
        bail!("no output file: name one with -o");
    };
    Ok(Action::Compile(Compile { input, output, gpu }))
}

#[cfg(test)]
mod tests {
    use super::{Action, Compile, parse};

    fn words(line: &str) -> anyhow::Result<Action> {
        parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn command_lines_of_programs() {
        let expected = |gpu: Option<&str>| {
            Action::Compile(Compile {
                input: "in.ptx".into(),
                output: "out.o".into(),
                gpu: gpu.map(Into::into),
            })
        };
        let lines = [
            ("in.ptx -o out.o", None),
            // Triton's, with each of its options.
            (
                "-lineinfo -suppress-debug-info --fmad=false -v --opt-level 0 \
                 --regAllocOptLevel=2 --gpu-name=sm_90a in.ptx -o out.o",
                Some("sm_90a"),
            ),
            (
                "-g -O3 -m 64 in.ptx -arch sm_70 --output-file=out.o",
                Some("sm_70"),
            ),
            (
                "-arch=sm_70 -O 2 --maxrregcount 32 --output-file out.o in.ptx",
                Some("sm_70"),
            ),
        ];
        for (line, gpu) in lines {
            assert_eq!(words(line).unwrap(), expected(gpu), "{line}");
        }
        for line in ["--version", "-V", "in.ptx --version"] {
            assert_eq!(words(line).unwrap(), Action::Version);
        }
        assert_eq!(words("-h").unwrap(), Action::Help);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("", "no input file"),
            ("in.ptx", "no output file"),
            ("-o out.o", "no input file"),
            ("in.ptx -o", "-o needs a value"),
            ("a.ptx b.ptx -o out.o", "more than one input file: b.ptx"),
            (
                "in.ptx -o out.o --frobnicate=2",
                "unknown option --frobnicate=2",
            ),
        ];
        for (line, error) in table {
            let text = words(line).unwrap_err().to_string();
            assert!(text.contains(error), "{line}: {text}");
        }
    }
}
