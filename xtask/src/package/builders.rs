//! What makes a package of a tree of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::contents::{Entry, VERSION};
use super::kits::{Kind, Kit, Source};
use crate::checkout;

const LICENCE: &str = "MIT OR Apache-2.0";

/// A package that is being built.
pub(super) struct Build<'a> {
    pub(super) kit: &'a Kit,
    pub(super) entries: &'a [Entry],
    /// The folder with all files, laid out as on a host.
    pub(super) tree: &'a Path,
    /// A folder for the builder's own use.
    pub(super) work: &'a Path,
    pub(super) out: &'a Path,
    pub(super) epoch: u64,
}

impl Kind {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Tarball => "tarball",
        }
    }

    /// Prepares a package of this form, and returns the command that makes it.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub(super) fn builder(self, build: &Build<'_>) -> Result<Command> {
        match self {
            Self::Deb => deb(build),
            Self::Rpm => rpm(build),
            Self::Tarball => tarball(build),
        }
    }
}

/// Where the .deb of a kit is in a folder.
pub(super) fn deb_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}_{VERSION}_amd64.deb"))
}

/// For dpkg.
fn deb(build: &Build<'_>) -> Result<Command> {
    let control = build.tree.join("DEBIAN");
    fs::create_dir(&control)?;
    let Kit {
        name,
        summary,
        about,
        scripts,
        ..
    } = build.kit;
    let needs = build.kit.needs.map(|[deb, _]| deb);
    let mut relations = String::new();
    for (relation, other) in [("Depends", needs), ("Replaces", build.kit.replaces)] {
        relations += &other.map_or(String::new(), |other| format!("{relation}: {other}\n"));
    }
    fs::write(
        control.join("control"),
        format!(
            "Package: {name}\nVersion: {VERSION}\nArchitecture: amd64\nSection: admin\nPriority: optional\n{relations}\
             Maintainer: the vgpu-stub project <vgpu-stub@localhost>\nDescription: {summary}\n {about}\n"
        ),
    )?;
    let removing = for_good(scripts.removing, "remove");
    for (script, text) in [
        ("postinst", scripts.installed),
        ("prerm", &removing),
        ("postrm", scripts.removed),
    ] {
        if !text.is_empty() {
            let text = format!("#!/bin/sh\n{text}\nexit 0\n");
            write_script(&control.join(script), &text)?;
        }
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
    for entry in build.entries {
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
    let Kit {
        name,
        summary,
        about,
        scripts,
        ..
    } = build.kit;
    let mut relations = String::new();
    for (relation, other) in [
        ("Conflicts", build.kit.conflicts),
        ("Requires", build.kit.needs.map(|[_, rpm]| rpm)),
    ] {
        relations += &other.map_or(String::new(), |other| format!("{relation}: {other}\n"));
    }
    let removing = for_good(scripts.removing, "0");
    let mut sections = String::new();
    for (section, text) in [
        ("post", scripts.installed),
        ("preun", &removing),
        ("postun", scripts.removed),
    ] {
        if !text.is_empty() {
            sections += &format!("%{section}\n{text}\n");
        }
    }
    fs::write(
        &spec,
        // What it needs and gives is said here: our libcuda.so.1 is nobody's driver.
        format!(
            "Name: {name}\nVersion: {VERSION}\nRelease: 1\nSummary: {summary}\nLicense: {LICENCE}\n\
             {relations}AutoReqProv: no\n\
             %description\n{about}\n\
             %install\ncp -a '{tree}/.' '%{{buildroot}}'\n\
             {sections}%files\n{files}",
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
    let name = format!("{}-{VERSION}", build.kit.name);
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

/// A script that is called with this word where the package goes, and with others where it is upgraded.
fn for_good(text: &str, word: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("[ \"$1\" != {word} ] || {{\n{text}\n}}"),
    }
}

fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
