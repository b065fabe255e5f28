//! Which `libcuda.so.1` the programs of a machine find, and which others there are.
//!
//! Ours lies in a folder `lib/vgpu`, and nowhere else but by links to there; all
//! others are drivers of somebody else's, such as NVIDIA's. Files are looked at,
//! and none is loaded.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// By what name programs load it.
pub const NAME: &str = "libcuda.so.1";
/// How the folder's path ends in which ours lies.
const OURS: &str = "lib/vgpu";

/// Where drivers are installed: by Debian and Ubuntu, Fedora and SUSE, Arch,
/// NVIDIA's own installer, WSL and NixOS. Programs look there by themselves too,
/// whatever the linker does.
const FOLDERS: [&str; 9] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/x86_64-linux-gnu/nvidia",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
];

/// In the path of users or not, on every distribution.
const LDCONFIG: &str = "/sbin/ldconfig";
/// How it marks the libraries of 64-bit programs.
const KIND: &str = "(libc6,x86-64";

/// How an ELF file begins that 64-bit programs can load.
const ELF_64: [u8; 5] = *b"\x7fELF\x02";
/// The most links that lead to a file.
const LINKS: usize = 16;

/// A machine's files, below its root folder.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The one whose root folder this is: `/`, or another one in a test.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a file of the machine is, by its absolute path there.
    #[must_use]
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root
            .join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// What the dynamic linker finds for a program without a path of its own;
    /// `None` where it finds none.
    #[must_use]
    pub fn found(&self) -> Option<PathBuf> {
        self.cached().into_iter().find(|path| self.loads(path))
    }

    /// The drivers that are not ours, each once.
    #[must_use]
    pub fn others(&self) -> Vec<PathBuf> {
        let folders = FOLDERS.iter();
        let usual = folders.map(|folder| Path::new(folder).join(NAME));
        let mut seen = Vec::new();
        let mut others: Vec<PathBuf> = Vec::new();
        for path in self.cached().into_iter().chain(usual) {
            let Ok(about) = fs::metadata(self.path(self.target(&path))) else {
                continue;
            };
            let file = (about.dev(), about.ino());
            if self.loads(&path) && !self.is_ours(&path) && !seen.contains(&file) {
                seen.push(file);
                others.push(path);
            }
        }
        others
    }

    /// Whether a path is, or leads to, a library of ours.
    #[must_use]
    pub fn is_ours(&self, path: &Path) -> bool {
        let target = self.target(path);
        target.parent().is_some_and(|it| it.ends_with(OURS))
    }

    /// What a link of the machine leads to in the end; a file's own path.
    fn target(&self, path: &Path) -> PathBuf {
        let mut path = path.to_path_buf();
        for _ in 0..LINKS {
            let Ok(next) = fs::read_link(self.path(&path)) else {
                break;
            };
            // An absolute one replaces all.
            path = path.parent().unwrap_or(Path::new("/")).join(next);
        }
        path
    }

    /// Whether it is there, and of a kind that 64-bit programs load.
    fn loads(&self, path: &Path) -> bool {
        let mut start = [0; ELF_64.len()];
        let file = File::open(self.path(self.target(path)));
        let read = file.and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == ELF_64
    }

    /// Those that the linker knows, the first to be taken first.
    fn cached(&self) -> Vec<PathBuf> {
        let mut ldconfig = Command::new(LDCONFIG);
        ldconfig
            .args(["-p", "-C"])
            .arg(self.path("/etc/ld.so.cache"));
        // Without one, as in a container, the usual folders will do.
        let said = ldconfig.output().map(|output| output.stdout);
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        paths(&said).collect()
    }
}

/// The paths that `ldconfig -p` lists for the library.
fn paths(said: &str) -> impl Iterator<Item = PathBuf> {
    said.lines().filter_map(|line| {
        let (name, path) = line.trim().split_once(" => ")?;
        let kind = name.strip_prefix(NAME)?.strip_prefix(' ')?;
        kind.starts_with(KIND).then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_ldconfig_lists_is_read() {
        let said = "3 libs found in cache `/etc/ld.so.cache'\n\
            \tlibcuda.so.1 (libc6) => /lib/i386-linux-gnu/libcuda.so.1\n\
            \tlibcuda.so.1 (libc6,x86-64, OS ABI: Linux 2.3.99) => /lib64/libcuda.so.1\n\
            \tlibcuda.so.1 (libc6,x86-64) => /usr/lib/vgpu/libcuda.so.1\n\
            \tlibcuda.so (libc6,x86-64) => /usr/lib/vgpu/libcuda.so\n\
            \tlibcuda.so.10 (libc6,x86-64) => /usr/lib/libcuda.so.10\n";
        let found: Vec<_> = paths(said).collect();
        assert_eq!(
            found,
            ["/lib64/libcuda.so.1", "/usr/lib/vgpu/libcuda.so.1"].map(PathBuf::from)
        );
    }

    fn machine() -> (tempfile::TempDir, Machine) {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::new(root.path());
        for folder in FOLDERS.iter().chain(&["/usr/lib/vgpu", "/etc"]) {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        (root, machine)
    }

    fn plant(machine: &Machine, path: &str) {
        fs::write(machine.path(path), b"\x7fELF\x02 and so on").unwrap();
    }

    #[test]
    fn ours_is_no_other_whatever_leads_to_it() {
        let (_root, machine) = machine();
        plant(&machine, "/usr/lib/vgpu/libcuda.so.1");
        let link = |target: &str, path: &str| symlink(target, machine.path(path)).unwrap();
        link("/usr/lib/vgpu/libcuda.so.1", "/usr/lib64/libcuda.so");
        link("libcuda.so", "/usr/lib64/libcuda.so.1");
        link("../lib/vgpu/libcuda.so.1", "/usr/local/lib/libcuda.so.1");
        assert_eq!(machine.others(), [""; 0].map(PathBuf::from));
        assert!(machine.is_ours(Path::new("/usr/lib64/libcuda.so.1")));
        // Of a machine without a cache the linker's way is not known.
        assert_eq!(machine.found(), None);
    }

    #[test]
    fn a_driver_is_found_once_in_each_folder() {
        for folder in FOLDERS {
            let (_root, machine) = machine();
            let driver = format!("{folder}/libcuda.so.550.1");
            plant(&machine, &driver);
            let name = format!("{folder}/libcuda.so.1");
            symlink("libcuda.so.550.1", machine.path(&name)).unwrap();
            // As Debian's alternatives do.
            if folder != "/usr/lib64" {
                symlink(&name, machine.path("/usr/lib64/libcuda.so.1")).unwrap();
            }
            let others = machine.others();
            assert_eq!(others.len(), 1, "{others:?}");
            assert!(!machine.is_ours(&others[0]));
        }
    }

    #[test]
    fn what_no_64_bit_program_loads_is_no_driver() {
        let (_root, machine) = machine();
        fs::write(
            machine.path("/usr/lib/libcuda.so.1"),
            b"\x7fELF\x01 and so on",
        )
        .unwrap();
        fs::write(machine.path("/usr/lib64/libcuda.so.1"), b"ELF").unwrap();
        symlink("libcuda.so.1", machine.path("/usr/local/lib/libcuda.so.1")).unwrap();
        symlink("/nowhere", machine.path("/usr/lib/wsl/lib/libcuda.so.1")).unwrap();
        assert_eq!(machine.others(), [""; 0].map(PathBuf::from));
    }
}
