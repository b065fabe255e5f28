//! The emulator in the dom0 of a real Xen, with real guests.
//!
//! Each scenario is a shell script in `scenarios/`. `cargo xtask test` builds
//! what they need and names it in `VGPU_STUB_PROGRAMS`, `VGPU_STUB_PACKAGES`
//! and `VGPU_STUB_XEN_QEMU`; `VGPU_STUB_XEN_VERSION` is another Xen than the
//! newest, such as 4.17. `cargo xtask soak upgrade` names an older release's
//! packages in `VGPU_STUB_OLDER_PACKAGES`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::steps::Steps;
use xen_bed::{Bed, Scenario, XenVersion};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/xen/scenarios");

/// What else a scenario finds in dom0.
const FILES: [(&str, &str); 3] = [
    (
        "vgpu-stub-xen@.service",
        "../../operator/packaging/xcp-ng/vgpu-stub-xen@.service",
    ),
    ("systemctl", "xen/stand-ins/systemctl"),
    ("xenopsd.sh", "xen/stand-ins/xenopsd.sh"),
];

/// What `cargo xtask test` tells the tests.
fn environment(name: &str) -> Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set; run these tests with: cargo xtask test"))
}

/// The Xen that the tests run on.
fn version() -> Result<XenVersion> {
    match env::var("VGPU_STUB_XEN_VERSION") {
        Ok(version) => version.parse(),
        Err(_) => Ok(XenVersion::default()),
    }
}

/// The files of these names in `scenarios/`, after the lines of `settings`.
fn script(settings: &str, names: &[&str]) -> Result<String> {
    let mut script = format!("{settings}\n");
    for name in names {
        let path = Path::new(SCENARIOS).join(format!("{name}.sh"));
        script += &fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        script += "\n";
    }
    Ok(script)
}

/// The bed, and a scenario of this script with all that scripts need.
fn bed(script: String) -> Result<(Bed, Scenario)> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let programs = environment("VGPU_STUB_PROGRAMS")?;
    let in_guest = ["vgpu-stub", "vgpu-conformance", "vgpu-hostile"];
    let in_guest = in_guest.map(|name| (name, programs.join(name)));
    let in_guest = in_guest
        .each_ref()
        .map(|(name, file)| GuestProgram { name, file });
    let guest = GuestImage::assemble(&cache, &in_guest, &steps)?;

    let mut scenario = Scenario::new(script).guest(&guest).limit(LIMIT);
    for program in [
        "vgpu-stub",
        "vgpu-emulator",
        "ioreq-server",
        "reach",
        "hold-open",
        "linux-4-19",
        "without-seccomp",
        "vgpu-compromised",
    ] {
        scenario = scenario.file(program, programs.join(program));
    }
    for (name, path) in FILES {
        scenario = scenario.file(name, Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    }
    let bed = Bed::open(&cache, &steps, version()?)?;
    Ok((bed, scenario))
}

/// Runs these files of `scenarios/` in a dom0 without guests, with what `prepare` adds.
fn run(names: &[&str], prepare: impl FnOnce(Scenario) -> Scenario) -> Result<()> {
    let (bed, scenario) = bed(script("", names)?)?;
    println!("{}", bed.run(&prepare(scenario))?.success()?);
    Ok(())
}

/// Runs a scenario in a dom0 that has the program.
fn scenario(name: &str, prepare: impl FnOnce(Scenario) -> Scenario) -> Result<()> {
    run(&["prelude", "install", name], prepare)
}

/// A guest that is up, and has the devices that xl gave it by the user's own line: the start of most scenarios, made once.
struct Guest {
    name: &'static str,
    settings: &'static str,
}

const ONE_VCPU: Guest = Guest {
    name: "one-vcpu",
    settings: "VCPUS=1 DEVICES=vgpu-stub",
};

const TWO_VCPUS: Guest = Guest {
    name: "two-vcpus",
    settings: "VCPUS=2 DEVICES='vgpu-stub vgpu-stub'",
};

const NO_DEVICE: Guest = Guest {
    name: "no-device",
    settings: "VCPUS=1 DEVICES=",
};

const NINE_DEVICES: Guest = Guest {
    name: "nine-devices",
    settings: "VCPUS=1 DEVICES='vgpu-stub vgpu-stub vgpu-stub,addr=0x10,bar0-size=64K vgpu-stub \
               vgpu-stub vgpu-stub vgpu-stub,revision=7 vgpu-stub,addr=11,device-id=0x1112 vgpu-stub'",
};

impl Guest {
    /// The bed with this guest, which is booted where it is not kept; and the scenario that booted it.
    fn bed(&self) -> Result<(Bed, Scenario)> {
        let (bed, boot) = bed(script(self.settings, &["prelude", "install", "guest"])?)?;
        let kept = Cache::at(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        let name = format!("{}-{}", self.name, version()?);
        Ok((bed.prepare(&kept, &name, &boot)?, boot))
    }

    /// Runs a scenario, after the lines of `settings`, in the dom0 of this guest.
    fn scenario(&self, name: &str, settings: &str) -> Result<()> {
        let (bed, boot) = self.bed()?;
        let settings = format!("{}\n{settings}", self.settings);
        let scenario = boot.script(script(&settings, &["prelude", name])?);
        println!("{}", bed.run(&scenario)?.success()?);
        Ok(())
    }
}

const LIMIT: Duration = Duration::from_secs(400);

/// The guests that scenarios start from. `cargo xtask test` runs these first: no scenario waits for another's guest then.
mod guest_comes_up {
    use super::*;

    #[test]
    fn with_one_vcpu() -> Result<()> {
        ONE_VCPU.bed().map(drop)
    }

    #[test]
    fn with_two_vcpus() -> Result<()> {
        TWO_VCPUS.bed().map(drop)
    }

    #[test]
    fn without_a_device() -> Result<()> {
        NO_DEVICE.bed().map(drop)
    }

    #[test]
    fn with_nine_devices() -> Result<()> {
        NINE_DEVICES.bed().map(drop)
    }
}

/// Scenarios of these names, each run by a function.
macro_rules! scenarios {
    ($run:expr; $($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() -> Result<()> {
            $run(stringify!($name))
        }
    )* };
}

scenarios! {
    |name| scenario(name, |scenario| scenario);
    criteria,
    refusals,
    other_ways,
    privileges,
    xcp,
    xcp_build_fails,
    disk_full,
    shortages_at_start,
    shortages_at_work,
    doctor_not_started,
}

scenarios! {
    |name| ONE_VCPU.scenario(name, "");
    two_vms,
    reboot,
    ends,
    saved,
    without_emulator,
    supervisor_killed,
    killed_all,
    control,
    xenstore,
    doctor,
    doctor_given_up,
    doctor_panic,
}

scenarios! {
    |name| TWO_VCPUS.scenario(name, "");
    two_vcpus,
}

scenarios! {
    |name| NO_DEVICE.scenario(name, "");
    doctor_not_configured,
    not_sandboxed,
}

scenarios! {
    |name| NINE_DEVICES.scenario(name, "");
    nine_devices,
}

/// The conformance suite in a guest, in two halves.
mod conformance {
    use super::*;

    fn conformance(cases: &str) -> Result<()> {
        ONE_VCPU.scenario("conformance", &format!("CASES='{cases}'"))
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
    scenario("built_in", |scenario| scenario.program("qemu", qemu))
}

/// The device's for Debian, in a folder that `cargo xtask package` has filled.
fn deb(folder: &str) -> Result<PathBuf> {
    let folder = environment(folder)?;
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vgpu-stub_") && name.ends_with(".deb")
    };
    paths
        .find(wanted)
        .with_context(|| format!("there is no .deb of vgpu-stub in {}", folder.display()))
}

/// Prints what is in folders, to be compared.
const LISTING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../operator/packaging/tests/listing.sh"
);

/// The package that `cargo xtask package` builds.
#[test]
fn packages() -> Result<()> {
    let deb = deb("VGPU_STUB_PACKAGES")?;
    run(&["prelude", "packages"], |scenario| {
        scenario
            .file("vgpu-stub.deb", deb)
            .file("listing.sh", LISTING)
    })
}

/// The same, over the package of an older release, under a guest that runs.
#[test]
#[ignore = "an older release takes long to build: cargo xtask soak upgrade"]
fn upgrade() -> Result<()> {
    let (older, deb) = (deb("VGPU_STUB_OLDER_PACKAGES")?, deb("VGPU_STUB_PACKAGES")?);
    run(&["prelude", "upgrade"], |scenario| {
        scenario
            .file("older.deb", older)
            .file("vgpu-stub.deb", deb)
            .file("listing.sh", LISTING)
            .limit(4 * LIMIT)
    })
}

/// A guest that attacks its device.
mod hostile {
    use super::*;

    #[test]
    fn with_one_vcpu() -> Result<()> {
        ONE_VCPU.scenario("hostile", "ATTACKS='1 2' NEIGHBOUR=")
    }

    #[test]
    fn with_two_vcpus() -> Result<()> {
        TWO_VCPUS.scenario("hostile", "ATTACKS=1 NEIGHBOUR=00:19.0")
    }
}

/// Five deaths of the answering process in each, as more in a row make it given
/// up: twenty in all.
mod killed {
    use super::*;

    #[test]
    fn with_one_vcpu() -> Result<()> {
        ONE_VCPU.scenario("killed", "")
    }

    #[test]
    fn with_one_vcpu_again() -> Result<()> {
        ONE_VCPU.scenario("killed", "")
    }

    #[test]
    fn with_two_vcpus() -> Result<()> {
        TWO_VCPUS.scenario("killed", "")
    }

    #[test]
    fn with_two_vcpus_again() -> Result<()> {
        TWO_VCPUS.scenario("killed", "")
    }
}
