//! The emulator in the dom0 of a real Xen, with real guests.
//!
//! Each scenario is a shell script in `scenarios/`. `cargo xtask test` builds
//! what they need and names it in `VGPU_STUB_PROGRAMS`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use vgpu_testbed::cache::Cache;
use vgpu_testbed::guest::{GuestImage, GuestProgram};
use vgpu_testbed::steps::Steps;
use xen_bed::{Bed, Scenario, XenVersion};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");

/// What else a scenario finds in dom0.
const FILES: [(&str, &str); 2] = [
    (
        "vgpu-stub-xen@.service",
        "../../packaging/xcp-ng/vgpu-stub-xen@.service",
    ),
    ("systemctl", "tests/stand-ins/systemctl"),
];

fn programs() -> Result<PathBuf> {
    env::var_os("VGPU_STUB_PROGRAMS")
        .map(PathBuf::from)
        .context("VGPU_STUB_PROGRAMS is not set; run these tests with: cargo xtask test")
}

/// Runs a scenario, after the lines of `settings`.
fn scenario(name: &str, settings: &str, limit: Duration) -> Result<()> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let programs = programs()?;
    let bed = Bed::open(&cache, &steps, XenVersion::default())?;
    let in_guest = ["vgpu-stub", "vgpu-conformance"].map(|name| (name, programs.join(name)));
    let in_guest = in_guest
        .each_ref()
        .map(|(name, file)| GuestProgram { name, file });
    let guest = GuestImage::assemble(&cache, &in_guest, &steps)?;

    let read = |name: &str| {
        let path = Path::new(SCENARIOS).join(format!("{name}.sh"));
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let script = format!("{settings}\n{}\n{}", read("prelude")?, read(name)?);
    let mut scenario = Scenario::new(script).guest(&guest).limit(limit);
    for program in ["vgpu-stub", "ioreq-server", "reach", "hold-open"] {
        scenario = scenario.file(program, programs.join(program));
    }
    for (name, path) in FILES {
        scenario = scenario.file(name, Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    }
    println!("{}", bed.run(&scenario)?.success()?);
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(150);

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() -> Result<()> {
            scenario(stringify!($name), "", LIMIT)
        }
    )* };
}

scenarios! {
    criteria,
    two_vcpus,
    two_vms,
    nine_devices,
    ends,
    given_up,
    refusals,
    privileges,
    control,
    xcp,
}

/// Twenty deaths, far enough apart that it is not given up.
#[test]
fn killed() -> Result<()> {
    scenario("killed", "", Duration::from_secs(180))
}

#[test]
fn killed_with_two_vcpus() -> Result<()> {
    scenario("killed", "VCPUS=2", Duration::from_secs(180))
}
