//! The emulator in the dom0 of a real Xen, with real guests.
//!
//! Each scenario is a shell script in `scenarios/`. `cargo xtask test` builds
//! what they need and names it in `VGPU_STUB_PROGRAMS`, `VGPU_STUB_PACKAGES`
//! and `VGPU_STUB_XEN_QEMU`.

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
const FILES: [(&str, &str); 3] = [
    (
        "vgpu-stub-xen@.service",
        "../../packaging/xcp-ng/vgpu-stub-xen@.service",
    ),
    ("systemctl", "tests/stand-ins/systemctl"),
    ("xenopsd.sh", "tests/stand-ins/xenopsd.sh"),
];

/// What `cargo xtask test` tells the tests.
fn environment(name: &str) -> Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set; run these tests with: cargo xtask test"))
}

/// Runs a scenario, after the lines of `settings`, with what `prepare` adds.
fn scenario(name: &str, settings: &str, prepare: impl FnOnce(Scenario) -> Scenario) -> Result<()> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let programs = environment("VGPU_STUB_PROGRAMS")?;
    let bed = Bed::open(&cache, &steps, XenVersion::default())?;
    let in_guest = ["vgpu-stub", "vgpu-conformance", "vgpu-hostile"];
    let in_guest = in_guest.map(|name| (name, programs.join(name)));
    let in_guest = in_guest
        .each_ref()
        .map(|(name, file)| GuestProgram { name, file });
    let guest = GuestImage::assemble(&cache, &in_guest, &steps)?;

    let read = |name: &str| {
        let path = Path::new(SCENARIOS).join(format!("{name}.sh"));
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let script = format!("{settings}\n{}\n{}", read("prelude")?, read(name)?);
    let mut scenario = Scenario::new(script).guest(&guest).limit(LIMIT);
    for program in ["vgpu-stub", "ioreq-server", "reach", "hold-open"] {
        scenario = scenario.file(program, programs.join(program));
    }
    for (name, path) in FILES {
        scenario = scenario.file(name, Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    }
    println!("{}", bed.run(&prepare(scenario))?.success()?);
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(150);

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() -> Result<()> {
            scenario(stringify!($name), "", |scenario| scenario)
        }
    )* };
}

scenarios! {
    criteria,
    two_vcpus,
    two_vms,
    nine_devices,
    reboot,
    ends,
    without_emulator,
    supervisor_killed,
    refusals,
    saved,
    other_ways,
    privileges,
    control,
    xcp,
    xcp_build_fails,
    disk_full,
    shortages_at_start,
    shortages_at_work,
    xenstore,
    doctor,
    doctor_given_up,
    doctor_not_started,
    doctor_not_configured,
    doctor_panic,
}

/// The conformance suite in a guest, in two halves.
mod conformance {
    use super::*;

    fn conformance(cases: &str) -> Result<()> {
        scenario("conformance", &format!("CASES='{cases}'"), |scenario| {
            scenario
        })
    }

    #[test]
    fn of_config_space() -> Result<()> {
        conformance("identity config reset")
    }

    #[test]
    fn of_bar0() -> Result<()> {
        conformance("bar0 registers data")
    }
}

/// The device in the QEMU that `cargo xtask qemu --xen` builds.
#[test]
fn built_in() -> Result<()> {
    let qemu = environment("VGPU_STUB_XEN_QEMU")?;
    scenario("built_in", "", |scenario| scenario.program("qemu", qemu))
}

/// The package that `cargo xtask package` builds.
#[test]
fn packages() -> Result<()> {
    let deb = concat!("vgpu-stub_", env!("CARGO_PKG_VERSION"), "_amd64.deb");
    let deb = environment("VGPU_STUB_PACKAGES")?.join(deb);
    let listing = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../packaging/tests/listing.sh"
    );
    scenario("packages", "", |scenario| {
        scenario
            .file("vgpu-stub.deb", deb)
            .file("listing.sh", listing)
    })
}

/// A guest that attacks its device.
mod hostile {
    use super::*;

    fn hostile(vcpus: u8) -> Result<()> {
        scenario("hostile", &format!("VCPUS={vcpus}"), |scenario| scenario)
    }

    #[test]
    fn with_one_vcpu() -> Result<()> {
        hostile(1)
    }

    #[test]
    fn with_two_vcpus() -> Result<()> {
        hostile(2)
    }
}

/// Five deaths of the answering process in each, as more in a row make it given
/// up: twenty in all.
mod killed {
    use super::*;

    fn killed(vcpus: u8) -> Result<()> {
        scenario("killed", &format!("VCPUS={vcpus}"), |scenario| scenario)
    }

    #[test]
    fn with_one_vcpu() -> Result<()> {
        killed(1)
    }

    #[test]
    fn with_one_vcpu_again() -> Result<()> {
        killed(1)
    }

    #[test]
    fn with_two_vcpus() -> Result<()> {
        killed(2)
    }

    #[test]
    fn with_two_vcpus_again() -> Result<()> {
        killed(2)
    }
}
