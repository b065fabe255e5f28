//! `cargo xtask acceptance`: the four tests of the guide's appendix A, as it has them, in real VMs.

mod bed;
mod checks;

use anyhow::Result;
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::Failure;

use crate::demo::attachment::{Attachment, Choice};
use crate::programs;
use bed::Answer;
use checks::{Check, Side, TESTS};

const EXAMPLES: &str = "\
Examples:
  cargo xtask acceptance                          with the attachment that this machine can do fastest
  cargo xtask acceptance --attachment qemu        with the device built into QEMU
  cargo xtask acceptance --attachment vfio-user   with the device in a process beside a stock QEMU
  cargo xtask acceptance --attachment xen         on a real Xen, started by xl

Exit code: 0 if all four tests pass, 1 otherwise.";

/// Run the guide's four acceptance tests, and show what they ran
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// How the device gets into the machine [default: vfio-user where this machine's QEMU can do it, else qemu]
    #[arg(long, value_enum)]
    attachment: Option<Attachment>,

    /// Build the QEMU of a release of Debian, such as bookworm [default: this machine's]
    #[arg(long, value_name = "CODENAME")]
    suite: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let suite = options.suite.as_deref();
    let (choice, why) = Choice::new(options.attachment, suite, StockQemu::system)?;
    eprintln!("{why}");
    let cache = Cache::open()?;
    let program = programs::build(steps)?;
    let in_guest = [GuestProgram {
        name: "vgpu-stub",
        file: &program,
    }];
    let image = GuestImage::assemble(&cache, &in_guest, steps)?;
    let (checks, answers) = match choice {
        Choice::Xen => bed::xen(&program, &image, &cache, steps)?,
        Choice::Qemu(choice) => bed::qemu(choice, &program, &image, &cache, steps)?,
    };
    report(&checks, &answers)
}

/// Prints each test with its commands, what came, and a verdict.
fn report(checks: &[Check], answers: &[Answer]) -> Result<()> {
    let mut failed = 0;
    for (number, title) in (1..).zip(TESTS) {
        println!("\nTest {number}: {title}");
        let mut complaints = Vec::new();
        for (check, answer) in checks.iter().zip(answers) {
            if check.test != number {
                continue;
            }
            let side = match check.side {
                Side::Host => "host",
                Side::Guest => "guest",
            };
            println!("{side}# {}", check.command);
            for line in answer.output.lines() {
                println!("    {}", line.trim_end());
            }
            complaints.extend(check.complaints(&answer.output));
        }
        for complaint in &complaints {
            println!("  {complaint}");
        }
        println!(
            "{}",
            if complaints.is_empty() {
                "passed"
            } else {
                "FAILED"
            }
        );
        failed += usize::from(!complaints.is_empty());
    }
    println!("\n{} of {} tests pass", TESTS.len() - failed, TESTS.len());
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        format!("{failed} of the guide's tests failed"),
        "See above what is missing.",
    )
    .into())
}
