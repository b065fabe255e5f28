//! `cargo xtask cuda`: the command `vgpu` with its library, and programs that use them.

mod build;
mod glibc;
mod operators;
mod programs;
mod python;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::Steps;

use crate::checkout;
pub(crate) use build::{Installed, Profile, build_for_tests, example, programs_of_tests, quick};
pub(crate) use glibc::programs;
pub(crate) use python::Python;

const EXAMPLES: &str = "\
Examples:
  cargo xtask cuda build                the command vgpu and its library, in target/cuda
  cargo xtask cuda build --out ~/.local
  cargo xtask cuda equality             100 steps of two nets, held against tinygrad's CPU backend
  cargo xtask cuda equality --steps 5   for a short time
  cargo xtask cuda tinygrad-ops --checkout ~/tinygrad
                                        tinygrad's own operator tests, of a checkout of it
  cargo xtask cuda programs             which programs of others there are
  cargo xtask cuda programs taichi      run one

The library that `build` makes loads on glibc 2.17 and later. The first time downloads a linker for
that from PyPI into the cache, 100 MB; with --quick it is linked for this machine.

Exit code: 0 if all that was asked for went well, 1 otherwise.";

/// Build the command vgpu, and run programs of others with it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the command vgpu and its library, with manual pages and completions
    Build {
        /// The folder, as it might be /usr/local
        #[arg(long, value_name = "FOLDER", default_value = "target/cuda")]
        out: PathBuf,

        /// Build it in less time; programs run slower, and only where glibc is as new as here
        #[arg(long)]
        quick: bool,
    },
    /// Hold tinygrad's gradients against those of its CPU backend
    Equality {
        /// How many steps of each training
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// Run the operator tests of a checkout of tinygrad
    TinygradOps(operators::Options),
    /// Run programs of others
    Programs(programs::Options),
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.task {
        Task::Build { out, quick } => {
            let profile = match quick {
                true => Profile::Quick,
                false => Profile::Release,
            };
            let folder = checkout().join(out);
            let installed = build::build(profile, &folder, steps)?;
            build::document(&folder)?;
            println!("{}", installed.vgpu().display());
            Ok(())
        }
        Task::Equality { steps: count } => {
            let installed = quick(steps)?;
            programs::equality(&installed, *count, &Cache::open()?, steps)
        }
        Task::TinygradOps(options) => operators::run(options, steps),
        Task::Programs(options) => programs::run(options, steps),
    }
}

/// Holds a few steps of a training against tinygrad's CPU backend, on what the tests had built.
///
/// # Errors
///
/// They are not equal, or could not be made.
pub(crate) fn briefly(steps: &Steps) -> Result<()> {
    let installed = build::of_tests(&checkout().join("target/cuda-tests"))?;
    programs::equality(&installed, 4, &Cache::open()?, steps)
}
