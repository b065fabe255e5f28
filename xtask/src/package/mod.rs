//! `cargo xtask package`: packages for the hosts of VMs.

mod clean_debian;
mod contents;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::Steps;

use crate::{checkout, programs};
use contents::{Entry, Kit, Source, VERSION, entries, stage};

const EXAMPLES: &str = "\
Examples:
  cargo xtask package                   all packages, in target/packages
  cargo xtask package --out /tmp/p
  cargo xtask package --check           and the .deb is tried on a clean Debian
  SOURCE_DATE_EPOCH=1735689600 cargo xtask package

The same sources give the same packages, on the same release of Debian. Without SOURCE_DATE_EPOCH they are as old as the
last commit.

Exit code: 0 if all were built, and pass the check where one was asked for; 1 otherwise.";

const SUMMARY: &str = "A virtual GPU PCI device for virtual machines";
const LICENCE: &str = "MIT OR Apache-2.0";

/// What a package does when its files have changed. Nothing running is stopped.
const RELOAD: &str = "[ ! -d /run/systemd/system ] || systemctl daemon-reload || :";

/// What an RPM does where the tarball was: its script would remove the RPM's files.
const FORGET_TARBALL: &str =
    "cd /usr/lib/vgpu-stub && rm -rf installed uninstall.sh unfinished || :";

/// Build the packages: .deb, .rpm, and the tarball for XCP-ng
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where the packages go
    #[arg(long, value_name = "FOLDER", default_value = "target/packages")]
    out: PathBuf,

    /// Package the programs of this folder instead of building them: vgpu-stub and vgpu-emulator
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Install, try and remove the .deb on a clean Debian, which is made by mmdebstrap the first time
    #[arg(long)]
    check: bool,
}

/// A package that is being built.
struct Build<'a> {
    kit: Kit,
    entries: Vec<Entry>,
    /// The folder with all files, laid out as on a host.
    tree: &'a Path,
    /// A folder for the builder's own use.
    work: &'a Path,
    out: &'a Path,
    epoch: u64,
}

/// Builds one package of a tree, and returns the builder's command.
type Builder = fn(&Build<'_>) -> Result<Command>;

const PACKAGES: [(Kit, &str, Builder); 4] = [
    (Kit::Plain, "deb", deb),
    (Kit::Plain, "rpm", rpm),
    (Kit::XcpNg, "rpm", rpm),
    (Kit::XcpNg, "tarball", tarball),
];

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let built = match &options.programs {
        Some(_) => None,
        None => Some(programs::build(steps)?),
    };
    let built = built.as_deref().and_then(Path::parent);
    let folder = options.programs.as_deref().or(built);
    let folder = folder.context("the programs are in no folder")?;
    let out = build(folder, &options.out, steps)?;
    if options.check {
        check(&out, steps)?;
    }
    println!("{}", out.display());
    Ok(())
}

/// Tries the .deb in this folder on a clean Debian.
///
/// # Errors
///
/// It does not work, or leaves something, or there is no Debian to try it on.
pub(crate) fn check(packages: &Path, steps: &Steps) -> Result<()> {
    let name = Kit::Plain.name();
    let deb = packages.join(format!("{name}_{VERSION}_amd64.deb"));
    clean_debian::check(&deb, steps)
}

/// Builds all packages of the programs in this folder, and returns the folder with them.
///
/// # Errors
///
/// A package cannot be built.
pub(crate) fn build(programs: &Path, out: &Path, steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(
        &[
            Package::program("rpm", "rpmbuild"),
            Package::program("dpkg", "dpkg-deb"),
        ],
        steps,
    )?;
    let epoch = epoch()?;
    let out = std::path::absolute(out)?;
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    for (kit, kind, builder) in PACKAGES {
        steps.step(&format!("Package {} as {kind}", kit.name()), |step| {
            let folder = tempfile::tempdir()?;
            let (tree, work) = (folder.path().join("tree"), folder.path().join("work"));
            let entries = entries(kit)?;
            stage(&entries, programs, &tree, epoch)?;
            fs::create_dir(&work)?;
            let build = Build {
                kit,
                entries,
                tree: &tree,
                work: &work,
                out: &out,
                epoch,
            };
            step.run(builder(&build)?.env("SOURCE_DATE_EPOCH", epoch.to_string()))
        })?;
    }
    Ok(out)
}

/// The age of all files: the same sources give the same packages.
fn epoch() -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given
            .parse()
            .context("SOURCE_DATE_EPOCH is no number of seconds");
    }
    let output = Command::new("git")
        .current_dir(checkout())
        .args(["log", "-1", "--format=%ct"])
        .output()
        .context("cannot run git")?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .context("git does not say when the last commit was; set SOURCE_DATE_EPOCH")
}

/// For dpkg.
fn deb(build: &Build<'_>) -> Result<Command> {
    let control = build.tree.join("DEBIAN");
    fs::create_dir(&control)?;
    fs::write(
        control.join("control"),
        format!(
            "Package: {name}\nVersion: {VERSION}\nArchitecture: amd64\nSection: admin\nPriority: optional\n\
             Maintainer: the vgpu-stub project <vgpu-stub@localhost>\nDescription: {SUMMARY}\n \
             Static programs that emulate the device for guests of Xen and QEMU.\n",
            name = build.kit.name()
        ),
    )?;
    for script in ["postinst", "postrm"] {
        write_script(
            &control.join(script),
            &format!("#!/bin/sh\n{RELOAD}\nexit 0\n"),
        )?;
    }
    let mut command = Command::new("dpkg-deb");
    command
        .args(["--build", "--root-owner-group", "-Zgzip"])
        .args([build.tree, build.out]);
    Ok(command)
}

/// For rpm 4.11 and later.
fn rpm(build: &Build<'_>) -> Result<Command> {
    let mut files = String::new();
    for entry in &build.entries {
        let kind = match (&entry.source, entry.settings) {
            (Source::Folder, _) => "%dir ",
            (_, true) => "%config(noreplace) ",
            _ => "",
        };
        let mode = match entry.source {
            // A link has none of its own.
            Source::Link(_) => "-".to_owned(),
            _ => format!("{:04o}", entry.mode),
        };
        files += &format!("{kind}%attr({mode}, root, root) \"{}\"\n", entry.path);
    }
    let spec = build.work.join("package.spec");
    let name = build.kit.name();
    let other = match build.kit {
        Kit::Plain => Kit::XcpNg.name(),
        Kit::XcpNg => Kit::Plain.name(),
    };
    let post = match build.kit {
        Kit::Plain => RELOAD.to_owned(),
        Kit::XcpNg => format!("{FORGET_TARBALL}\n{RELOAD}"),
    };
    fs::write(
        &spec,
        format!(
            "Name: {name}\nVersion: {VERSION}\nRelease: 1\nSummary: {SUMMARY}\nLicense: {LICENCE}\n\
             Conflicts: {other}\nAutoReqProv: no\n\
             %description\nStatic programs that emulate the device for guests of Xen and QEMU.\n\
             %install\ncp -a '{tree}/.' '%{{buildroot}}'\n\
             %post\n{post}\n%postun\n{RELOAD}\n\
             %files\n{files}",
            tree = build.tree.display()
        ),
    )?;
    let mut command = Command::new("rpmbuild");
    command.args(["-bb", "--target", "x86_64-linux"]);
    for (macro_name, value) in [
        ("_topdir", build.work.display().to_string()),
        ("_rpmdir", build.out.display().to_string()),
        (
            "_rpmfilename",
            "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm".into(),
        ),
        // Newer compressions are unknown to rpm 4.11.
        ("_binary_payload", "w9.gzdio".into()),
        ("_buildhost", "vgpu-stub".into()),
        ("use_source_date_epoch_as_buildtime", "1".into()),
        ("clamp_mtime_to_source_date_epoch", "1".into()),
        // The files are as they shall be.
        ("__os_install_post", "%{nil}".into()),
        ("debug_package", "%{nil}".into()),
        ("_build_id_links", "none".into()),
    ] {
        command.args(["--define", &format!("{macro_name} {value}")]);
    }
    command.arg(spec);
    Ok(command)
}

/// With scripts that install and uninstall it.
fn tarball(build: &Build<'_>) -> Result<Command> {
    let name = format!("{}-{VERSION}", build.kit.name());
    let top = build.work.join(&name);
    fs::create_dir(&top)?;
    let scripts = checkout().join("operator/packaging/tarball");
    fs::copy(scripts.join("install.sh"), top.join("install.sh"))?;
    let uninstall = build.tree.join("usr/lib/vgpu-stub/uninstall.sh");
    fs::copy(scripts.join("uninstall.sh"), uninstall)?;
    fs::rename(build.tree, top.join("files"))?;
    let mut command = Command::new("tar");
    command
        .args(["--create", "--sort=name", "--format=gnu"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mode=u=rwX,go=rX", "--use-compress-program=gzip -9n"])
        .arg(format!("--mtime=@{}", build.epoch))
        .arg("--file")
        .arg(build.out.join(format!("{name}.tar.gz")))
        .arg("--directory")
        .arg(build.work)
        .arg(name);
    Ok(command)
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
