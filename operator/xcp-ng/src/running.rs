//! Which VMs have devices on this host now: a file for each domain, which is
//! also what systemd reads the emulator's options from.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use vgpu_new_file::{NewFile, Permissions};
use vgpu_terminal::Failure;
use xen_dm::xenstore::{Transaction, Xenstore};

use crate::host::Host;
use crate::uuid::Uuid;

const FOLDER: &str = "/run/vgpu-stub";
const SUFFIX: &str = ".options";
const VM: &str = "VGPU_STUB_VM=";
const OPTIONS: &str = "VGPU_STUB_OPTIONS=";
const DEVICE: &str = "--device ";

/// A domain with devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    pub(crate) domain: u16,
    #[serde(serialize_with = "as_text")]
    pub(crate) vm: Uuid,
    pub(crate) devices: Vec<String>,
}

fn as_text<S: serde::Serializer>(vm: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(vm)
}

/// All records. Nobody else reads or changes them while this lives.
#[derive(Debug)]
pub(crate) struct Running {
    folder: PathBuf,
    _lock: File,
}

impl Running {
    /// Waits until nobody else has them.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or locked.
    pub(crate) fn lock(host: &Host) -> Result<Self, Failure> {
        let folder = host.path(FOLDER);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(refused)?;
        let lock = File::open(&folder).map_err(refused)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(refused)?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The records, by domain. Files that are no records are left alone.
    pub(crate) fn all(&self) -> Vec<Record> {
        let mut records: Vec<Record> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let domain = name.to_str()?.strip_prefix("xen-")?.strip_suffix(SUFFIX)?;
                Record::parse(domain, &fs::read_to_string(entry.path()).ok()?)
            })
            .collect();
        records.sort_by_key(|record| record.domain);
        records
    }

    /// Forgets the domains that are gone, and returns their records.
    ///
    /// # Errors
    ///
    /// Xenstore cannot be asked, or a file not be removed.
    pub(crate) fn forget_gone(&self, store: &mut Xenstore) -> Result<Vec<Record>, Failure> {
        let mut gone = Vec::new();
        for record in self.all() {
            let path = format!("/local/domain/{}", record.domain);
            match store.read(Transaction::NONE, &path) {
                Ok(_) => {}
                Err(error) if error.is_absent() => {
                    self.remove(record.domain).map_err(refused)?;
                    gone.push(record);
                }
                Err(error) => {
                    return Err(Failure::new(
                        format!("cannot look for domain {}: {error}", record.domain),
                        "see xenstored's log",
                    ));
                }
            }
        }
        Ok(gone)
    }

    /// How many devices other VMs have.
    pub(crate) fn devices_beside(&self, vm: &Uuid) -> usize {
        let records = self.all();
        let others = records.iter().filter(|record| record.vm != *vm);
        others.map(|record| record.devices.len()).sum()
    }

    /// Adds a record, or replaces that of its domain.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn add(&self, record: &Record) -> Result<(), Failure> {
        let path = self.path(record.domain);
        let new = path.with_extension("new");
        let written = NewFile::write(new, &mut record.text().as_bytes(), Permissions::Owner);
        written.and_then(|new| new.rename(&path)).map_err(refused)
    }

    /// Removes a record, with what an emulator that was killed has left.
    pub(crate) fn remove(&self, domain: u16) -> io::Result<()> {
        let left = fs::remove_dir_all(self.folder.join(format!("xen-{domain}")));
        for done in [left, fs::remove_file(self.path(domain))] {
            match done {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, domain: u16) -> PathBuf {
        self.folder.join(format!("xen-{domain}{SUFFIX}"))
    }
}

impl Record {
    /// As systemd reads it. No property has a space or a quote.
    fn text(&self) -> String {
        let devices: Vec<String> = self
            .devices
            .iter()
            .map(|device| format!("{DEVICE}{device}"))
            .collect();
        format!("{VM}{}\n{OPTIONS}{}\n", self.vm, devices.join(" "))
    }

    fn parse(domain: &str, text: &str) -> Option<Self> {
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            domain: domain.parse().ok()?,
            vm: value(VM)?.parse().ok()?,
            devices: value(OPTIONS)?
                .split(DEVICE)
                .map(|device| device.trim().to_owned())
                .filter(|device| !device.is_empty())
                .collect(),
        })
    }
}

fn refused(error: impl Into<io::Error>) -> Failure {
    let error = error.into();
    Failure::new(
        format!("cannot keep account in {FOLDER}: {error}"),
        "run this as root, and see that /run has room",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_replaced_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::below(root.path());
        let running = Running::lock(&host).unwrap();
        let record = |domain, last: u8, devices: &[&str]| Record {
            domain,
            vm: format!("2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a{last:02x}")
                .parse()
                .unwrap(),
            devices: devices.iter().map(ToString::to_string).collect(),
        };
        let first = record(12, 1, &["slot=0x18", "revision=2,bar0-size=64K"]);
        let second = record(3, 2, &["slot=0x18"]);
        running.add(&record(3, 9, &[])).unwrap();
        running.add(&first).unwrap();
        running.add(&second).unwrap();
        fs::write(root.path().join("run/vgpu-stub/xen-4.options"), "?").unwrap();
        fs::create_dir(root.path().join("run/vgpu-stub/xen-12")).unwrap();
        assert_eq!(running.all(), [second.clone(), first.clone()]);
        assert_eq!(running.devices_beside(&second.vm), 2);
        assert_eq!(running.devices_beside(&first.vm), 1);
        running.remove(12).unwrap();
        running.remove(12).unwrap();
        assert_eq!(running.all(), [second]);
        assert!(!root.path().join("run/vgpu-stub/xen-12").exists());
    }
}
