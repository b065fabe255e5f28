//! Where things are in XCP-ng's dom0, and whether the kit is whole.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{Access, access};
use vgpu_emulator::INSTALLED;
use vgpu_program::RunError;
use vgpu_terminal::Failure;
use xen_dm::xenstore::{Stream, Xenstore};

/// Another root folder than `/`, which the program of the tests sets.
pub(crate) static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// The program that builds a domain, by xenopsd's own default.
pub(crate) const XENGUEST: &str = "/usr/libexec/xen/bin/xenguest";

/// What a VM with the device needs of the host.
const PARTS: [(&str, Access); 8] = [
    ("/usr/bin/vgpu-stub", Access::EXEC_OK),
    (INSTALLED, Access::EXEC_OK),
    (
        "/usr/lib/xapi/alternatives/xenguest/vgpu-stub",
        Access::EXEC_OK,
    ),
    (
        "/usr/lib/systemd/system/vgpu-stub-xen@.service",
        Access::READ_OK,
    ),
    ("/etc/xapi.d/vm-pre-start/50-vgpu-stub", Access::EXEC_OK),
    ("/etc/xapi.d/vm-post-destroy/50-vgpu-stub", Access::EXEC_OK),
    ("/etc/xapi.d/plugins/vgpu-stub", Access::EXEC_OK),
    (XENGUEST, Access::EXEC_OK),
];

/// The host's files.
#[derive(Debug)]
pub(crate) struct Host {
    root: PathBuf,
}

impl Host {
    /// The one that this runs on.
    pub(crate) fn here() -> Self {
        Self::below(ROOT.get().map_or(Path::new("/"), PathBuf::as_path))
    }

    /// One whose files are in this folder.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// An absolute path, on this host.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// What is missing or broken, a line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        PARTS
            .iter()
            .filter_map(|(path, wanted)| {
                let errno = access(self.path(path), *wanted).err()?;
                let how = match *wanted == Access::EXEC_OK {
                    true => "cannot be executed",
                    false => "cannot be read",
                };
                Some(format!("{path} {how} ({errno})"))
            })
            .collect()
    }

    /// Refuses a host on which the kit is not whole.
    ///
    /// # Errors
    ///
    /// It is not.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            format!(
                "vgpu-stub is not whole on this host: {}",
                problems.join(", ")
            ),
            "install the package again, or start the VM on another host",
        ))
    }

    /// A connection to xenstored.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub(crate) fn xenstore(&self) -> Result<Xenstore, Failure> {
        let connected = if self.root == Path::new("/") {
            Xenstore::connect()
        } else {
            UnixStream::connect(self.path("/run/xenstored/socket"))
                .and_then(Stream::new)
                .map(Xenstore::over)
        };
        connected.map_err(|error| {
            Failure::new(
                format!("cannot reach xenstore: {error}"),
                "see that xenstored runs",
            )
        })
    }
}

/// The systemd unit of a domain's emulator.
pub(crate) fn unit(domain: u16) -> String {
    format!("vgpu-stub-xen@{domain}.service")
}

/// Runs systemctl, for as long as `limit`.
///
/// # Errors
///
/// With what it says, in one line.
pub(crate) fn systemctl(words: &[&str], limit: Duration) -> Result<(), String> {
    let words = [&["--no-ask-password"], words].concat();
    let Err(error) = vgpu_program::output("systemctl", &words, Some(limit)) else {
        return Ok(());
    };
    let command = words[1..].join(" ");
    Err(match error {
        RunError::NotStarted(error) => format!("cannot run systemctl: {error}"),
        RunError::TimedOut => format!("systemctl {command} took more than {} s", limit.as_secs()),
        RunError::Failed(said) => {
            let first = said.lines().next().unwrap_or("it gives no reason");
            format!("systemctl {command} failed: {first}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_part_is_missed() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        assert_eq!(host.problems().len(), PARTS.len());
        for (path, _) in PARTS {
            let path = host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(host.problems(), Vec::<String>::new());
        for (name, wanted) in PARTS {
            let path = host.path(name);
            if wanted == Access::EXEC_OK {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                assert_eq!(host.problems().len(), 1, "{name}");
            }
            fs::remove_file(&path).unwrap();
            assert!(host.check().unwrap_err().cause.contains(name));
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
