//! The command line of `ptxas`, as far as programs use it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// To show how it is called.
    Help,
    /// To say what it is.
    Version,
    /// To make an image.
    Compile(Compile),
}

/// What an image is made of.
#[derive(Debug, PartialEq, Eq)]
pub struct Compile {
    /// The PTX.
    pub input: PathBuf,
    /// The image.
    pub output: PathBuf,
    /// The architecture that it is for, such as `sm_90a`.
    pub gpu: Option<String>,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its long name.
    pub long: &'static str,
    /// Its other name, if there is one; each may have one dash or two.
    pub short: Option<&'static str>,
    /// What its value is called, where it has one.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub about: &'static str,
    means: Means,
}

/// What an option is for.
#[derive(Clone, Copy, Debug)]
enum Means {
    Help,
    Version,
    Output,
    Gpu,
    /// Advice for a compiler, which there is none of.
    Advice,
}

const fn option(
    long: &'static str,
    short: Option<&'static str>,
    value: Option<&'static str>,
    about: &'static str,
    means: Means,
) -> Known {
    Known {
        long,
        short,
        value,
        about,
        means,
    }
}

const fn advice(
    long: &'static str,
    short: Option<&'static str>,
    value: Option<&'static str>,
) -> Known {
    option(long, short, value, "Does nothing here", Means::Advice)
}

/// The options.
pub const OPTIONS: &[Known] = &[
    option(
        "output-file",
        Some("o"),
        Some("FILE"),
        "Where the image goes",
        Means::Output,
    ),
    option(
        "gpu-name",
        Some("arch"),
        Some("ARCH"),
        "What the image is for, such as sm_90: refuse PTX for later ones",
        Means::Gpu,
    ),
    advice("verbose", Some("v"), None),
    advice("generate-line-info", Some("lineinfo"), None),
    advice("suppress-debug-info", None, None),
    advice("device-debug", Some("g"), None),
    advice("compile-only", Some("c"), None),
    advice("disable-warnings", Some("w"), None),
    advice("warn-on-spills", Some("warn-spills"), None),
    advice("opt-level", Some("O"), Some("LEVEL")),
    advice("fmad", None, Some("BOOL")),
    advice("maxrregcount", None, Some("COUNT")),
    advice("machine", Some("m"), Some("BITS")),
    advice("def-load-cache", Some("dlcm"), Some("WAY")),
    advice("def-store-cache", Some("dscm"), Some("WAY")),
    advice("regAllocOptLevel", None, Some("LEVEL")),
    option("help", Some("h"), None, "Print help", Means::Help),
    option("version", Some("V"), None, "Print version", Means::Version),
];

fn find(name: &str) -> Option<&'static Known> {
    let named = |known: &&Known| name == known.long || Some(name) == known.short;
    OPTIONS.iter().find(named)
}

/// Reads a command line.
///
/// # Errors
///
/// It is not one of `ptxas`, or says too little.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action> {
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
        let Some(known) = find(name) else {
            bail!("unknown option {option}; vgpu-ptxas --help shows the known ones");
        };
        let mut value = || {
            let found = value.clone().or_else(|| arguments.next());
            found.ok_or_else(|| anyhow::anyhow!("{option} needs a value"))
        };
        match known.means {
            Means::Help => return Ok(Action::Help),
            Means::Version => return Ok(Action::Version),
            Means::Advice if known.value.is_none() => {}
            Means::Advice => drop(value()?),
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
