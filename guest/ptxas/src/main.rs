//! `vgpu-ptxas INPUT.ptx -o OUTPUT`: for programs that make PTX and then call
//! a `ptxas` to make machine code of it, such as Triton (`TRITON_PTXAS_PATH`).
//!
//! PTX is what the engines of vgpu load, so there is nothing to compile: the
//! text is checked, and written as an image of [`vgpu_ptx::image`]. The command
//! line is that of `ptxas` as far as programs use it; advice for a compiler is
//! accepted and does nothing.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use vgpu_new_file::{NewFile, Permissions, unique_beside};
use vgpu_ptxas::options::{self, Action, Compile};

/// Programs take from it how new the PTX may be that they write: 12.8 stands
/// for PTX 8.7.
const RELEASE: &str = "release 12.8";

/// What `ptxas` ends with where it refuses a text.
const REFUSED: u8 = 255;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vgpu-ptxas: {error:#}");
            ExitCode::from(REFUSED)
        }
    }
}

fn run() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match options::parse(std::env::args_os().skip(1))? {
        Action::Help => println!("{}", vgpu_ptxas::help()),
        Action::Version => println!("vgpu-ptxas {version}: takes PTX of {RELEASE}"),
        Action::Compile(compile) => assemble(&compile)?,
    }
    Ok(())
}

fn assemble(compile: &Compile) -> Result<()> {
    let input = compile.input.display();
    let text = std::fs::read_to_string(&compile.input).with_context(|| format!("{input}"))?;
    // What lies behind a 0 byte is no text.
    let text = text.split('\0').next().unwrap_or_default();
    let module = vgpu_ptx::parse(text).with_context(|| format!("{input}"))?;
    if let Some(gpu) = compile
        .gpu
        .as_deref()
        .filter(|gpu| number(gpu) < number(module.target))
    {
        let target = module.target;
        bail!("{input}: the PTX is for {target} and later, not for {gpu}; compile it for {gpu}");
    }
    write(&compile.output, &vgpu_ptx::image::pack(text))
        .with_context(|| format!("{}", compile.output.display()))
}

/// The number of an architecture: 90 of `sm_90a`.
fn number(architecture: &str) -> u32 {
    let digits = architecture.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// Writes a file that is there whole, or not at all. A device or a pipe stays what it is.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Ok(fs::write(path, bytes)?);
    }
    let new = NewFile::write(unique_beside(path), &mut &*bytes, Permissions::Umask)?;
    Ok(new.rename(path)?)
}
