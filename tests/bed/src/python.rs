//! Python in the guest: Debian's, with packages that pip fetched on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::debian;
use crate::guest::GuestImage;
use crate::initramfs::Initramfs;
use crate::ping::SHARED;
use crate::steps::Steps;

/// Packages with the interpreter, its library, and the libraries that modules of it load.
const PACKAGES: &[&str] = &[
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libsqlite3-0",
    "libssl3",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
];

const INTERPRETER: &str = "usr/bin/python3.11";
const LIBRARY: &str = "usr/lib/python3.11";
/// Where Debian's Python looks for more packages.
const SITE: &str = "usr/lib/python3/dist-packages";

/// Libraries, by their names in the guest's /lib; it has others.
const LIBRARIES: &[&str] = &[
    "libbz2.so.1.0",
    "libexpat.so.1",
    "libffi.so.8",
    "libsqlite3.so.0",
    "libuuid.so.1",
];
/// Where these are in the packages.
const FOLDERS: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// What is not taken of Python's own library: it is large, and for who builds or tests.
const LEFT_OUT: &[&str] = &[
    "config-3.11-x86_64-linux-gnu",
    "lib2to3",
    "pydoc_data",
    "test",
];

const ARCHIVE: &str = "python.cpio";

/// Packages that pip fetched into a folder.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Whether the guest needs a file of it, by its path there.
    pub needs: fn(&Path) -> bool,
}

/// The guest with `/usr/bin/python3` and packages, all compiled; what is linked to this machine's C library runs there too.
///
/// # Errors
/// When Debian's packages cannot be fetched, or its Python does not run here.
pub fn image(
    image: &GuestImage,
    site: Site<'_>,
    cache: &Cache,
    steps: &Steps,
) -> Result<GuestImage> {
    let root = debian::unpacked(cache, &GuestImage::suite(), PACKAGES, steps)?;
    let packages = files(site.folder, &|path| {
        !path.iter().any(|part| part == "__pycache__") && (site.needs)(path)
    })?;
    let mut key = Sha256::new();
    key.update(format!("{LIBRARIES:?}{LEFT_OUT:?}{packages:?}"));
    key.update(site.folder.as_os_str().as_encoded_bytes());
    key.update(fs::read(root.with_file_name("VERSIONS"))?);
    let key = format!("{:x}", key.finalize());
    let entry = cache.entry("guest-python", &key[..16], |dir| {
        steps.step("Make the guest's Python", |step| {
            let work = tempfile::tempdir_in(dir)?;
            let library = files(&root.join(LIBRARY), &|path| {
                !LEFT_OUT.iter().any(|folder| path.starts_with(folder))
            })?;
            for (from, names, to) in [
                (root.join(LIBRARY), library, LIBRARY),
                (site.folder.to_owned(), packages, SITE),
            ] {
                for name in names {
                    copy(&from.join(&name), &work.path().join(to).join(&name))?;
                }
            }
            // By the contents of sources: in an archive these have no time.
            step.run(
                python(&root)
                    .args(["-m", "compileall", "-q", "-j2"])
                    .args(["--invalidation-mode", "unchecked-hash", "-s"])
                    .arg(work.path())
                    .args(["-p", "/"])
                    .arg(work.path()),
            )?;
            let mut archive = Initramfs::default();
            archive.program("usr/bin/python3", fs::read(root.join(INTERPRETER))?);
            for name in LIBRARIES {
                archive.file(&format!("lib/{name}"), fs::read(find(&root, name)?)?);
            }
            for name in files(work.path(), &|_| true)? {
                let contents = fs::read(work.path().join(&name))?;
                archive.file(&name.display().to_string(), contents);
            }
            archive.write(File::create(dir.join(ARCHIVE))?)?;
            Ok(())
        })
    })?;
    let image = image.and(&fs::read(entry.join(ARCHIVE))?);
    // Before the guest's own, which may be older: all that is linked to it runs with this one.
    let mut own = Initramfs::default();
    for name in SHARED {
        let contents = fs::read(Path::new("/lib/x86_64-linux-gnu").join(name))?;
        match name.starts_with("ld-") {
            true => own.program(&format!("lib64/{name}"), contents),
            false => own.file(&format!("lib/{name}"), contents),
        }
    }
    image.with_files(&own)
}

/// Debian's interpreter, on this machine.
fn python(root: &Path) -> Command {
    let mut python = Command::new(root.join(INTERPRETER));
    let folders = FOLDERS.map(|folder| root.join(folder).into_os_string());
    python
        .env("PYTHONHOME", root.join("usr"))
        .env("LD_LIBRARY_PATH", folders.join(":".as_ref()))
        .env_remove("PYTHONPATH");
    python
}

fn find(root: &Path, library: &str) -> Result<PathBuf> {
    let mut places = FOLDERS.iter().map(|it| root.join(it).join(library));
    places
        .find(|path| path.exists())
        .with_context(|| format!("Debian's packages have no {library}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// The files below a folder that are wanted, by their paths in it, in order.
fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            let name = path.strip_prefix(folder)?;
            // Links are followed to files, and not to folders.
            match path.symlink_metadata()?.is_dir() {
                _ if !wanted(name) => {}
                true => left.push(path),
                false if path.is_file() => found.push(name.to_owned()),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
