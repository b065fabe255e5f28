//! `cargo xtask soak`: tests that go on for minutes, most with machines, of which `cargo xtask test` does a fiftieth or less.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::sanitized_kernel::SanitizedKernel;
use vgpu_bed::soak::TIMES;
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::{Failure, OrMend};
use xen_bed::{Bed, XenVersion};

use crate::checkout;
use crate::cuda;
use crate::fuzz;
use crate::history::Commit;
use crate::package::{self, Family};
use crate::qemu::{self, Source, Variant};
use crate::test::{
    XEN_SUITE, bed_tests, build_programs, cargo, cuda_programs, tests, xen_scenarios,
};

const EXAMPLES: &str = "\
Examples:
  cargo xtask soak                              which there are
  cargo xtask soak unplug                       one of them
  cargo xtask soak unplug --suite trixie        on another QEMU
  cargo xtask soak hostile-guest --times 500    for ten times as long
  cargo xtask soak cuda-kills                   without machines
  cargo xtask soak cuda-fuzz                    100 million executions of what a CUDA program may write
  cargo xtask soak upgrade --from COMMIT        from the packages of another commit

Exit code: 0 if it passed, 1 otherwise.";

/// The last commit whose packages have one program, which served too.
const ONE_PROGRAM: &str = "de410776f4866997a298c6abeffc494a9e71773f";

/// Run a test for longer than `cargo xtask test` does
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Which; without it, all are listed
    name: Option<String>,

    /// How many times as long as in cargo xtask test [default: 50; channels-ends and driver-ends: 200; driver-sanitized: 3; those of
    /// fuzz targets: 5000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    times: Option<u32>,

    /// The release of Debian whose QEMU has the device
    #[arg(long, value_name = "CODENAME", default_value = "bookworm")]
    suite: String,

    /// The commit whose packages the soak "upgrade" upgrades; without it, the last one whose packages had one program
    #[arg(long, value_name = "COMMIT", default_value = ONE_PROGRAM, hide_default_value = true)]
    from: String,
}

/// A test that goes on for as long as it is told to, by `vgpu_bed::soak`.
struct Soak {
    name: &'static str,
    about: &'static str,
    machines: Machines,
    /// How many times as long as in `cargo xtask test`, unless somebody says.
    times: u32,
    package: &'static str,
    /// The file of tests, and what is in the names of those that are meant.
    suite: &'static str,
    only: &'static str,
}

/// What the machines of a soak are run by.
#[derive(Clone, Copy)]
enum Machines {
    /// The QEMU with the device.
    Qemu,
    /// A stock QEMU, and the former beside it.
    Stock,
    /// The same, and a kernel that checks itself.
    Sanitized,
    /// The Xen of XCP-ng 8.3. What a scenario does has its own length.
    OlderXen,
    /// The newest Xen, and the packages of an older commit. What the scenario does has its own length.
    OlderPackages,
    /// There are none.
    None,
    /// There are none: generated inputs first, and then libFuzzer's.
    Fuzzer(Fuzzed),
}

/// Targets that a soak has libFuzzer execute as well, and how often for each of its times.
type Fuzzed = &'static [(&'static str, u64)];

const SOAKS: [Soak; 20] = [
    Soak {
        name: "unplug",
        about: "5 minutes: ejected, unplugged and reset while another processor accesses it; the device in QEMU",
        machines: Machines::Qemu,
        times: 50,
        package: "vgpu-suites",
        suite: "device",
        only: "unplug::",
    },
    Soak {
        name: "unplug-vfio-user",
        about: "the same under a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "unplug::",
    },
    Soak {
        name: "hostile-guest",
        about: "100 seconds for each attack of a hostile guest; the device in QEMU",
        machines: Machines::Qemu,
        times: 50,
        package: "vgpu-suites",
        suite: "device",
        only: "hostile::",
    },
    Soak {
        name: "hostile-guest-vfio-user",
        about: "the same under a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "hostile::",
    },
    Soak {
        name: "channels-ends",
        about: "2 hours: 200 reboots, 1,000 function level resets, 200 kills of each process in the middle of a stream; a stock QEMU",
        machines: Machines::Stock,
        times: 200,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "features::ends:: features::kills::",
    },
    Soak {
        name: "channels-ends-qemu",
        about: "30 minutes: a quarter of that, and QEMU killed, the device unplugged; the device in QEMU",
        machines: Machines::Qemu,
        times: 50,
        package: "vgpu-suites",
        suite: "device",
        only: "features::ends:: features::kills::",
    },
    Soak {
        name: "channels-parks",
        about: "3 minutes: hosts that sleep, each woken 10,000 times, on pc and q35; a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "features::sharing::",
    },
    Soak {
        name: "driver-kernels",
        about: "2 minutes: the guest's driver on kernels of other releases, once; 5 more to fetch their compilers; a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "driver::kernels:: --ignored",
    },
    Soak {
        name: "driver-sanitized",
        about: "a quarter of an hour: the guest's driver on a Linux with KASAN, lockdep and kmemleak; 10 more to build that; a stock QEMU",
        machines: Machines::Sanitized,
        times: 3,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "driver::sanitized:: --ignored",
    },
    Soak {
        name: "driver-ends",
        about: "half an hour: CUDA programs of a guest, workers, resets, the driver, vgpud that end at work, and QEMU and the server, 200 times each; a stock QEMU",
        machines: Machines::Stock,
        times: 200,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "driver::ends:: driver::kills::",
    },
    Soak {
        name: "driver-canaries",
        about: "half an hour: 64 CUDA programs of a guest at once, 100,000 calls each, none of which may meet another's bytes; a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "driver::canaries::",
    },
    Soak {
        name: "driver-hostile",
        about: "10 minutes: a guest that attacks its device, and loses it, beside one whose CUDA programs compute; a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "driver::hostile::",
    },
    Soak {
        name: "channels-hostile",
        about: "8 minutes: a hostile driver of a device with channels; a stock QEMU",
        machines: Machines::Stock,
        times: 50,
        package: "vgpu-suites",
        suite: "vfio_user",
        only: "features::hostile::",
    },
    Soak {
        name: "channels-hostile-qemu",
        about: "the same; the device in QEMU",
        machines: Machines::Qemu,
        times: 50,
        package: "vgpu-suites",
        suite: "device",
        only: "features::hostile::",
    },
    Soak {
        name: "xen-4.17",
        about: "10 minutes: all scenarios on the Xen of XCP-ng 8.3, each once",
        machines: Machines::OlderXen,
        times: 50,
        package: "vgpu-suites",
        suite: "xen",
        only: "",
    },
    Soak {
        name: "upgrade",
        about: "4 minutes: an older package upgraded in dom0 under a VM; 10 more to build that package, once",
        machines: Machines::OlderPackages,
        times: 50,
        package: "vgpu-suites",
        suite: "xen",
        only: "upgrade --ignored",
    },
    Soak {
        name: "cuda-kills",
        about: "2 minutes: a CUDA program, its worker and vgpud, killed at any moment, each 100 times, all at once 50 times",
        machines: Machines::None,
        times: 50,
        package: "vgpud",
        suite: "kills",
        only: "",
    },
    Soak {
        name: "cuda-hostile",
        about: "2 minutes: CUDA programs that write into their shared memory what they like, beside one that does not",
        machines: Machines::None,
        times: 50,
        package: "vgpud",
        suite: "hostile",
        only: "",
    },
    Soak {
        name: "cuda-fuzz",
        about: "a quarter of an hour: 100 million executions of the fuzz targets cuda-ring, cuda-wire and cuda-ptx",
        machines: Machines::Fuzzer(&[("cuda-ring", 300), ("cuda-wire", 500), ("cuda-ptx", 100)]),
        times: 5000,
        package: "vgpu-fuzz",
        suite: "generated",
        only: "",
    },
    Soak {
        name: "features-fuzz",
        about: "an hour: 100 million executions of the fuzz targets mailbox, segments and link",
        machines: Machines::Fuzzer(&[("mailbox", 100), ("segments", 60), ("link", 40)]),
        times: 5000,
        package: "vgpu-fuzz",
        suite: "features",
        only: "",
    },
];

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let Some(name) = &options.name else {
        print!("{}", list());
        return Ok(());
    };
    let soak = SOAKS
        .iter()
        .find(|soak| soak.name == name)
        .ok_or_else(|| anyhow!("there is no soak {name:?}"))
        .or_mend(format!("Name one of these:\n{}", list().trim_end()))?;
    let mut environment = soak.machines.environment(options, steps)?;
    let times = options.times.unwrap_or(soak.times);
    environment.push((TIMES, times.to_string().into()));
    // Where it runs the tests: each may take long.
    environment.push(("NEXTEST_PROFILE", "soak".into()));
    match soak.machines {
        Machines::None => {
            // Their programs, which cargo builds only with all tests of a package.
            steps.step("Build the programs", |step| {
                let arguments = ["build", "--package", soak.package, "--examples"];
                step.run(&mut cargo(&arguments))
            })?;
            let arguments = ["--package", soak.package, "--test", soak.suite];
            tests(&arguments, &environment)
        }
        Machines::Fuzzer(fuzzed) => {
            generated(soak, environment)?;
            fuzz::execute(fuzzed, times.into(), steps)
        }
        Machines::OlderXen => xen_scenarios(soak.only, &environment),
        _ => bed_tests(&[soak.suite], soak.only, &environment),
    }
}

/// Executes what a test generates, as libFuzzer's programs are built, and shows how much that was.
fn generated(soak: &Soak, environment: Vec<(&'static str, OsString)>) -> Result<()> {
    let mut cargo = cargo(&["test", "--profile", "fuzz", "--package", soak.package]);
    // One after the other: a target looks at all descriptors of its process.
    cargo.args([
        "--test",
        soak.suite,
        "--",
        "--nocapture",
        "--test-threads=1",
    ]);
    let status = cargo.envs(environment).status()?;
    if status.success() {
        return Ok(());
    }
    let mend = "Replay the input that is named above, as a file of its target; commit it with what mends the code.";
    Err(Failure::new(format!("a generated input breaks a rule ({status})"), mend).into())
}

fn list() -> String {
    SOAKS
        .iter()
        .map(|soak| format!("  {:24} {}\n", soak.name, soak.about))
        .collect()
}

impl Machines {
    /// Builds what they need, and how the tests are told where it is.
    fn environment(
        self,
        options: &Options,
        steps: &Steps,
    ) -> Result<Vec<(&'static str, OsString)>> {
        if matches!(self, Self::None | Self::Fuzzer(_)) {
            return Ok(Vec::new());
        }
        let cache = Cache::open()?;
        // First what fails soon, where a commit is missing.
        let older = match self {
            Self::OlderPackages => Some(Commit::find(&options.from)?.packages(&cache, steps)?),
            _ => None,
        };
        let programs = build_programs(steps)?;
        if matches!(self, Self::OlderXen) {
            return older_xen_environment(&cache, programs, steps);
        }
        if let Some(older) = older {
            let packages = build_packages(&programs, steps)?;
            Bed::open(&cache, steps, XenVersion::default())?;
            return Ok(vec![
                ("VGPU_STUB_PROGRAMS", programs.into()),
                ("VGPU_STUB_PACKAGES", packages.into()),
                ("VGPU_STUB_OLDER_PACKAGES", older.into()),
            ]);
        }
        let source = Source::Suite(Suite::debian(&options.suite));
        let qemu = qemu::build(&cache, &source, Variant::Plain, steps)?;
        let mut environment = vec![
            ("VGPU_STUB_PROGRAMS", programs.into()),
            ("VGPU_STUB_QEMU", qemu.path.into()),
        ];
        if matches!(self, Self::Sanitized) {
            SanitizedKernel::build(&cache, steps)?;
        }
        if matches!(self, Self::Stock | Self::Sanitized) {
            let stock = StockQemu::fetch(&cache, steps)?;
            environment.push(("VGPU_STUB_STOCK_QEMU", stock.path.into()));
        }
        cuda::build_for_tests(steps)?;
        environment.push(("VGPU_STUB_CUDA_PROGRAMS", cuda_programs(steps)?.into()));
        Ok(environment)
    }
}

fn build_packages(programs: &Path, steps: &Steps) -> Result<PathBuf> {
    let out = checkout().join("target/packages");
    package::build(Family::Device, programs, &out, steps)
}

fn older_xen_environment(
    cache: &Cache,
    programs: PathBuf,
    steps: &Steps,
) -> Result<Vec<(&'static str, OsString)>> {
    let packages = build_packages(&programs, steps)?;
    let source = Source::Suite(Suite::debian(XEN_SUITE));
    let qemu = qemu::build(cache, &source, Variant::Xen, steps)?;
    Bed::open(cache, steps, XenVersion::V4_17)?;
    Ok(vec![
        ("VGPU_STUB_PROGRAMS", programs.into()),
        ("VGPU_STUB_PACKAGES", packages.into()),
        ("VGPU_STUB_XEN_QEMU", qemu.path.into()),
        (
            "VGPU_STUB_XEN_VERSION",
            XenVersion::V4_17.to_string().into(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for soak in SOAKS {
            let named = SOAKS.iter().filter(|other| other.name == soak.name);
            assert_eq!(named.count(), 1, "{}", soak.name);
        }
    }
}
