//! `cargo xtask book`: docs/ as a book.

use std::process::Command;

use anyhow::Result;
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_terminal::{Failure, OrMend};

use crate::checkout;

const EXAMPLES: &str = "\
Examples:
  cargo xtask book                      then open target/book/index.html

mdBook is built into the cache where it is not there yet, which takes minutes.

Exit code: 0 if the book was built without a warning, 1 otherwise.";

/// The mdBook that builds it.
const VERSION: &str = "0.5.4";

/// Build the documentation as a book, in target/book
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {}

/// Runs the command.
pub(crate) fn run(_: &Options, steps: &Steps) -> Result<()> {
    let installed = Cache::open()?.entry("mdbook", VERSION, |root| {
        Ok(steps
            .step(&format!("Install mdBook {VERSION}"), |step| {
                step.run(
                    process::cargo()
                        .args(["install", "mdbook", "--locked", "--version", VERSION])
                        .arg("--root")
                        .arg(root),
                )
            })
            .or_mend("See that the registry of crates can be reached.")?)
    })?;
    steps.step("Build the book", |step| {
        let mut mdbook = Command::new(installed.join("bin/mdbook"));
        let output = mdbook.arg("build").arg(checkout()).output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        said.lines().for_each(|line| step.say(line));
        // mdBook ends well where it warns.
        let warns = said.contains("WARN") || said.contains("ERROR");
        if output.status.success() && !warns {
            return Ok(());
        }
        Err(Failure::new(
            format!("mdBook complains ({})", output.status),
            "Mend the page that it names.",
        )
        .into())
    })?;
    println!("{}", checkout().join("target/book/index.html").display());
    Ok(())
}
