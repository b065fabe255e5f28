//! The demo on Xen: the lines of `vgpu-stub xl-config`, `xl create`, and what the guest finds.

use std::path::Path;

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::steps::Steps;
use vgpu_terminal::OrMend;
use xen_bed::{Bed, Scenario, XenVersion};

use crate::programs;

/// What dom0 runs.
const SCRIPT: &str = concat!(
    include_str!("../../../tests/suites/xen/scenarios/install.sh"),
    include_str!("xen.sh")
);

/// Shows what a guest of Xen finds. `program` is the command vgpu-stub; the guest has it too.
pub(super) fn demonstrate(
    program: &Path,
    guest: &GuestImage,
    keep: bool,
    cache: &Cache,
    steps: &Steps,
) -> Result<()> {
    let version = XenVersion::default();
    let bed = Bed::open(cache, steps, version)?;
    let scenario = Scenario::new(SCRIPT)
        .file(programs::COMMAND, program)
        .file(programs::EMULATOR, programs::emulator(program))
        .guest(guest);
    let outcome = steps.step(&format!("Start a guest on Xen {version}"), |_| {
        bed.run(&scenario)
    })?;
    println!("\n{}", outcome.output.trim_end());
    if keep || outcome.status != 0 {
        eprintln!("logs: {}", outcome.keep_folder().display());
    }
    Ok(outcome
        .success()
        .map(drop)
        .or_mend("Look into the logs; docs/xen.md says what each is.")?)
}
