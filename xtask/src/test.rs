//! `cargo xtask test`: everything that has to hold, in one command.

mod generations;
mod releases;
mod summary;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::libvirt;
use vgpu_bed::process;
use vgpu_bed::static_program::{self, Profile};
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::Failure;
use xen_bed::{Bed, XenVersion};

use crate::checkout;
use crate::cuda;
use crate::fuzz;
use crate::package::{self, Family};
use crate::programs;
use crate::qemu::{self, Source, Variant};
use releases::SUITES;
use summary::{Outcome, Summary};

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                      all tests: QEMUs of Debian 12 and 13 with the device, a stock QEMU
  cargo xtask test --suite bookworm     with one of the former
  cargo xtask test --quick              what needs no virtual machine

Exit code: 0 if all that ran passed, 1 otherwise.";

/// The one whose QEMU is built as a device model for xl, and tested on Xen too.
pub(crate) const XEN_SUITE: &str = "trixie";

/// What is tested on the Xen of XCP-ng 8.3 too: what asks most of Xen itself. `cargo xtask soak xen-4.17` tests all.
const ON_OLDER_XEN: &str = "criteria supervisor_killed";

/// Packages with tests that start machines: the product's suites, and those of the beds themselves.
const BEDS: [&str; 3] = ["vgpu-suites", "vgpu-bed", "xen-bed"];

/// What tests run beside the product in guests, in Xen's dom0 and on the host.
const PROGRAMS: [(&str, &str); 9] = [
    ("vgpu-conformance", "vgpu-conformance"),
    ("vgpu-hostile", "vgpu-hostile"),
    ("vgpu-hostile-driver", "vgpu-hostile-driver"),
    ("vgpu-dom0", "ioreq-server"),
    ("vgpu-dom0", "reach"),
    ("vgpu-dom0", "hold-open"),
    ("vgpu-dom0", "linux-4-19"),
    ("vgpu-dom0", "without-seccomp"),
    ("vgpu-compromised", "vgpu-compromised"),
];

/// A check of the source by a tool of Rust's.
struct Check {
    name: &'static str,
    arguments: &'static [&'static str],
    /// What rustup calls the tool, where Rust comes without it.
    component: Option<&'static str>,
}

const CHECKS: [Check; 3] = [
    Check {
        name: "Check the format",
        arguments: &["fmt", "--all", "--check"],
        component: Some("rustfmt"),
    },
    Check {
        name: "Check with clippy",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
        component: Some("clippy"),
    },
    Check {
        name: "Check the documentation",
        arguments: &["doc", "--workspace", "--no-deps"],
        component: None,
    },
];

/// Check formatting, lints and documentation, and run all tests
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Test on the QEMU of this release of Debian; may be repeated [default: bookworm and trixie, sharing some]
    #[arg(long, value_name = "CODENAME")]
    suite: Vec<String>,

    /// Leave out the tests that need virtual machines
    #[arg(long, conflicts_with = "suite")]
    quick: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let mut summary = Summary(Vec::new());
    for check in CHECKS {
        if let Some(component) = check.component.filter(|_| !works(check.arguments[0])) {
            summary.skip(
                check.name,
                format!("not installed; rustup component add {component}"),
            );
            continue;
        }
        summary.add(check.name, || {
            steps.step(check.name, |step| {
                step.run(cargo(check.arguments).env("RUSTDOCFLAGS", "-D warnings"))
            })
        });
    }
    // Those tests wait more than they compute: what is left of the processors builds what machines run.
    let programs = thread::scope(|scope| {
        let build = (!options.quick).then(|| scope.spawn(|| build_programs_aside(steps)));
        summary.add("Tests without machines", || {
            tests(&["--workspace"], &[] as &[(&str, &Path)])
        });
        build.map(thread::ScopedJoinHandle::join)
    });
    summary.add("The interpreter on older processors", || {
        generations::run(steps, |words, set| tests(words, set))
    });
    summary.add("Fuzz for a short time", || fuzz::briefly(3, steps));
    summary.add("tinygrad for a short time", || cuda::briefly(steps));
    match programs {
        None => summary.skip("Tests with machines", "--quick"),
        Some(programs) => {
            let programs = programs.unwrap_or_else(|_| Err(anyhow!("a thread panicked")));
            machines(programs, options, steps, &mut summary);
        }
    }
    summary.skip(
        "The device in XCP-ng's QEMU 4.2.1",
        "that source is not in Debian; give an unpacked tree to: cargo xtask qemu --source DIR --apply",
    );

    println!("\nSummary\n{summary}");
    match summary.failed() {
        0 => Ok(()),
        failed => Err(Failure::new(
            format!("{failed} of {} parts failed", summary.0.len()),
            "Read the failed parts above; logs are in target/logs.",
        )
        .into()),
    }
}

/// The tests that start virtual machines, on the QEMU of each release, with the programs in a folder.
fn machines(built: Result<PathBuf>, options: &Options, steps: &Steps, summary: &mut Summary) {
    let mut programs = None;
    summary.add("Build the programs, beside the tests", || {
        programs = Some(built?);
        Ok(())
    });
    if let Some(programs) = &programs {
        summary.add("The size of the programs", || {
            [programs::COMMAND, programs::EMULATOR]
                .iter()
                .try_for_each(|name| size(&programs.join(name)))
        });
    }
    let mut first = None;
    let mut for_xen = None;
    let chosen = options.suite.iter().map(|name| (name.as_str(), ""));
    let mut releases: Vec<_> = chosen.collect();
    if releases.is_empty() {
        releases.extend(SUITES);
    }
    for (codename, elsewhere) in releases {
        let mut binary = None;
        summary.add(format!("Build the QEMU of {codename}"), || {
            let source = Source::Suite(Suite::debian(codename));
            let xen = codename == XEN_SUITE;
            let variant = if xen { Variant::Xen } else { Variant::Plain };
            let path = qemu::build(&Cache::open()?, &source, variant, steps)?.path;
            if xen {
                for_xen = Some(path.clone());
            }
            binary = Some(path);
            Ok(())
        });
        let name = format!("Tests with machines, QEMU of {codename}");
        let (Some(programs), Some(binary)) = (&programs, &binary) else {
            summary.skip(name, NOT_BUILT);
            continue;
        };
        let mut suites = vec!["device"];
        if first.is_none() {
            // The bed's own tests: no device, so one QEMU will do.
            suites.extend(["boot", "xl_file"]);
            first = Some(binary.clone());
        }
        summary.add(name, || {
            let cuda = cuda_programs(steps)?;
            let environment = [
                ("VGPU_STUB_QEMU", binary.as_path()),
                ("VGPU_STUB_PROGRAMS", programs),
                ("VGPU_STUB_CUDA_PROGRAMS", &cuda),
            ];
            bed_tests(&suites, elsewhere, &environment)
        });
    }
    libvirt(programs.as_deref(), first.as_deref(), steps, summary);
    stock(programs.as_deref(), first.as_deref(), steps, summary);
    let packages = packages(programs.as_deref(), steps, summary);
    // A Debian that installs packages keeps no processor busy: it does so beside Xen.
    thread::scope(|scope| {
        let name = "The .debs on a clean Debian";
        let check = packages
            .as_ref()
            .map(|packages| scope.spawn(|| Outcome::of(|| package::check(packages, steps))));
        xen(
            programs.as_deref(),
            packages.as_deref(),
            for_xen.as_deref(),
            steps,
            summary,
        );
        match check.map(thread::ScopedJoinHandle::join) {
            Some(Ok(outcome)) => summary.0.push((name.into(), outcome)),
            Some(Err(_)) => summary.add(name, || bail!("a thread panicked")),
            None => summary.skip(name, NOT_BUILT),
        }
    });
}

/// The packages of `programs`, and those of CUDA of what the tests had built: the folder with them.
fn packages(programs: Option<&Path>, steps: &Steps, summary: &mut Summary) -> Option<PathBuf> {
    let name = "Build the packages";
    let Some(programs) = programs else {
        summary.skip(name, NOT_BUILT);
        return None;
    };
    let out = checkout().join("target/packages");
    let mut built = None;
    summary.add(name, || {
        built = Some(package::build(Family::Device, programs, &out, steps)?);
        let programs = cuda_programs(steps)?;
        package::build(Family::Cuda, &programs, &out, steps)?;
        package::build(Family::Driver, Path::new(""), &out, steps)?;
        fs::copy(programs.join("cuda-add"), out.join("cuda-add"))?;
        Ok(())
    });
    built
}

/// What the tests had built of CUDA, in a folder.
pub(crate) fn cuda_programs(steps: &Steps) -> Result<PathBuf> {
    let programs = process::target(checkout()).join("cuda-programs");
    cuda::programs_of_tests(&programs, steps)?;
    Ok(programs)
}

/// The tests of the server under a QEMU that knows nothing of the device, held against `built_in`, a QEMU that has it.
fn stock(programs: Option<&Path>, built_in: Option<&Path>, steps: &Steps, summary: &mut Summary) {
    let mut stock = None;
    summary.add("Fetch a stock QEMU", || {
        stock = Some(StockQemu::fetch(&Cache::open()?, steps)?);
        Ok(())
    });
    let name = "Tests with machines, stock QEMU";
    let (Some(programs), Some(built_in), Some(stock)) = (programs, built_in, &stock) else {
        summary.skip(name, NOT_BUILT);
        return;
    };
    summary.add(format!("{name} {}", stock.release), || {
        let cuda = cuda_programs(steps)?;
        let environment = [
            ("VGPU_STUB_QEMU", built_in),
            ("VGPU_STUB_STOCK_QEMU", &stock.path),
            ("VGPU_STUB_PROGRAMS", programs),
            ("VGPU_STUB_CUDA_PROGRAMS", &cuda),
        ];
        bed_tests(&["vfio_user", "doctor"], "", &environment)
    });
}

/// The device under a libvirt of its own, with Debian's QEMU and with `built_in`, a QEMU that has it.
fn libvirt(programs: Option<&Path>, built_in: Option<&Path>, steps: &Steps, summary: &mut Summary) {
    let name = "Tests with machines, libvirt";
    if !rustix::process::geteuid().is_root() {
        summary.skip(
            name,
            "libvirt gives its QEMUs users of their own, which takes root",
        );
        return;
    }
    let mut ready = false;
    summary.add("Get libvirt ready", || {
        libvirt::root(&Cache::open()?, steps)?;
        ready = true;
        Ok(())
    });
    let (Some(programs), Some(built_in), true) = (programs, built_in, ready) else {
        summary.skip(name, NOT_BUILT);
        return;
    };
    let environment = [
        ("VGPU_STUB_QEMU", built_in),
        ("VGPU_STUB_PROGRAMS", programs),
    ];
    summary.add(name, || bed_tests(&["libvirt"], "", &environment));
}

/// The bed with a real Xen, and the device there: its emulator in dom0, and `built_in`, a device model that has it.
fn xen(
    programs: Option<&Path>,
    packages: Option<&Path>,
    built_in: Option<&Path>,
    steps: &Steps,
    summary: &mut Summary,
) {
    let mut ready = false;
    summary.add("Get Xen ready", || {
        let cache = Cache::open()?;
        for version in XenVersion::ALL {
            Bed::open(&cache, steps, version)?;
        }
        ready = true;
        Ok(())
    });
    let name = "Tests with machines, Xen";
    let (Some(programs), Some(packages), Some(built_in), true) =
        (programs, packages, built_in, ready)
    else {
        summary.skip(name, NOT_BUILT);
        return;
    };
    let environment = [
        ("VGPU_STUB_PROGRAMS", programs),
        ("VGPU_STUB_PACKAGES", packages),
        ("VGPU_STUB_XEN_QEMU", built_in),
    ];
    summary.add("Tests of the Xen bed", || {
        bed_tests(&["bed"], "", &environment)
    });
    summary.add(name, || xen_scenarios("", &environment));
    let older = XenVersion::V4_17.to_string();
    let environment = [
        &environment[..],
        &[("VGPU_STUB_XEN_VERSION", Path::new(&older))],
    ]
    .concat();
    summary.add(format!("{name} {older}"), || {
        xen_scenarios(ON_OLDER_XEN, &environment)
    });
}

/// Runs the scenarios on Xen whose name has a word of `only` in it, or all.
pub(crate) fn xen_scenarios(only: &str, environment: &[(&str, impl AsRef<OsStr>)]) -> Result<()> {
    let guests = match only {
        "" => "guest_comes_up",
        _ => "guest_comes_up::with_one_vcpu",
    };
    // The others start from the guests that these leave.
    for only in [guests, only] {
        bed_tests(&["xen"], only, environment)?;
    }
    Ok(())
}

/// Why machines were not tested.
const NOT_BUILT: &str = "what it needs was not built";

/// Each of the programs that operators install has less than this, in bytes.
const LIMIT: u64 = 3 << 20;

/// Whether the program is small enough.
fn size(program: &Path) -> Result<()> {
    let size = fs::metadata(program)?.len();
    if size < LIMIT {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "{} has {size} bytes, not less than {LIMIT}",
            program.display()
        ),
        "See what a new dependency adds, or build for size what need not be fast, in Cargo.toml.",
    )
    .into())
}

/// Runs the tests of suites, which start machines: those whose name has a word of `only` in it, or all; `--skip WORD` in it leaves
/// some out.
pub(crate) fn bed_tests(
    suites: &[&str],
    only: &str,
    environment: &[(&str, impl AsRef<OsStr>)],
) -> Result<()> {
    let mut arguments = vec!["--features", "bed"];
    for package in BEDS {
        arguments.extend(["--package", package]);
    }
    for suite in suites {
        arguments.extend(["--test", suite]);
    }
    arguments.push("--");
    arguments.extend(only.split_whitespace());
    tests(&arguments, environment)
}

/// Builds the programs at the lowest priority, for what else runs.
fn build_programs_aside(steps: &Steps) -> Result<PathBuf> {
    // Of this thread alone, and of what it starts (setpriority(2), on Linux).
    rustix::process::setpriority_process(None, 19)?;
    build_programs(steps)
}

/// Builds the programs, and returns the folder with them.
pub(crate) fn build_programs(steps: &Steps) -> Result<PathBuf> {
    let folder = process::target(checkout()).join("programs");
    fs::create_dir_all(&folder)?;
    let kinds = [
        (&programs::PRODUCT[..], Profile::Release),
        (&PROGRAMS, Profile::Quick),
    ];
    let build = |(programs, profile)| -> Result<()> {
        let built = static_program::build_all(checkout(), programs, profile, steps)?;
        for (_, name) in programs {
            // A link's target may be in use.
            let program = folder.join(name);
            let _ = fs::remove_file(&program);
            fs::hard_link(built.join(name), &program)
                .with_context(|| program.display().to_string())?;
        }
        Ok(())
    };
    // At once: what links them as a whole is one thread for most of its time.
    thread::scope(|scope| {
        let builds = kinds.map(|kind| scope.spawn(move || build(kind)));
        let join = |thread: thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().ok().context("a thread panicked")?
        };
        builds.into_iter().try_for_each(join)
    })?;
    Ok(folder)
}

/// Runs tests by cargo-nextest where it is installed, by cargo itself elsewhere.
pub(crate) fn tests(arguments: &[&str], environment: &[(&str, impl AsRef<OsStr>)]) -> Result<()> {
    let mut command = if works("nextest") {
        cargo(&["nextest", "run"])
    } else {
        cargo(&["test"])
    };
    let variables = environment.iter().map(|(name, value)| (name, value));
    // Every test waits now and then, for a guest or for time to pass: one more than there are processors keeps those at work.
    let at_a_time = thread::available_parallelism()?.get() + 1;
    command
        .args(arguments)
        .envs(variables)
        .env("NEXTEST_TEST_THREADS", at_a_time.to_string());
    let status = command.status().context("cannot run cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("tests failed ({status})"), "Their output is above.").into())
}

/// Whether cargo has this subcommand.
fn works(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.current_dir(checkout()).args(arguments);
    command
}
