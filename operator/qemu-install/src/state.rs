//! What has been done to a QEMU, as the files beside it tell.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use vgpu_terminal::Failure;
use vgpu_terminal::shell::quoted;

use crate::place::{Place, sha256};

/// Raised when a field changes its meaning.
const VERSION: u32 = 1;

/// Which QEMU was put in place of which, by their SHA-256. Written before
/// anything is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) original_sha256: String,
    pub(crate) installed_sha256: String,
}

impl Record {
    pub(crate) fn new(original_sha256: String, installed_sha256: String) -> Self {
        Self {
            version: VERSION,
            original_sha256,
            installed_sha256,
        }
    }

    /// None where there is none.
    fn read(place: &Place) -> Result<Option<Self>, String> {
        let text = match fs::read_to_string(place.record()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let record: Self =
            serde_json::from_slice(text.as_bytes()).map_err(|error| error.to_string())?;
        if record.version != VERSION {
            return Err(format!("its version is {}", record.version));
        }
        Ok(Some(record))
    }
}

/// What has been done.
#[derive(Debug)]
pub(crate) enum State {
    /// Nothing.
    Untouched,
    /// The new QEMU is in place, the old one is the backup.
    Installed(Record),
    /// The old QEMU is in place: an install was cut short, or a rollback was.
    Interrupted,
    /// A third QEMU is in place, the old one is the backup.
    Changed,
    /// What is there does not fit together.
    Broken(Failure),
}

impl State {
    /// Looks.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let target = sha256(&place.target)?;
        let backup = place.backup();
        let backed_up = if backup.exists() {
            Some(sha256(&backup)?)
        } else {
            None
        };
        let record = match Record::read(place) {
            Ok(record) => record,
            Err(cause) => return Ok(Self::Broken(unreadable(place, &cause))),
        };
        Ok(match (record, backed_up) {
            (None, None) => Self::Untouched,
            (None, Some(_)) => Self::Broken(unknown(place)),
            (Some(record), None) if target == record.original_sha256 => Self::Interrupted,
            (Some(_), None) => Self::Broken(gone(place)),
            (Some(record), Some(sha256)) if sha256 != record.original_sha256 => {
                Self::Broken(other(place))
            }
            (Some(record), Some(sha256)) if target == sha256 => {
                // Also where the new QEMU was the old one's equal.
                if record.installed_sha256 == sha256 {
                    Self::Installed(record)
                } else {
                    Self::Interrupted
                }
            }
            (Some(record), Some(_)) if target == record.installed_sha256 => Self::Installed(record),
            (Some(_), Some(_)) => Self::Changed,
        })
    }

    /// As `status --json` has it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Installed(_) => "installed",
            Self::Interrupted => "interrupted",
            Self::Changed => "changed",
            Self::Broken(_) => "broken",
        }
    }
}

/// A third QEMU is in place: what to say of it.
pub(crate) fn changed(place: &Place) -> Failure {
    Failure::new(
        format!(
            "{} has been replaced since it was installed, perhaps by an update of its package",
            place.target.display()
        ),
        format!(
            "to keep it: rm {} {}; to have the old one back: vgpu-stub qemu rollback --force --to {}",
            quoted(place.backup()),
            quoted(place.record()),
            quoted(&place.target)
        ),
    )
}

fn unreadable(place: &Place, cause: &str) -> Failure {
    Failure::new(
        format!("cannot read {}: {cause}", place.record().display()),
        format!(
            "see which QEMU is wanted, {} or its backup; keep that one, and remove the record",
            quoted(&place.target)
        ),
    )
}

fn unknown(place: &Place) -> Failure {
    Failure::new(
        format!(
            "{} is there, but no record of an install",
            place.backup().display()
        ),
        format!(
            "see what it is; put it back (mv {} {}), or move it away",
            quoted(place.backup()),
            quoted(&place.target)
        ),
    )
}

fn gone(place: &Place) -> Failure {
    Failure::new(
        format!("the backup {} is gone", place.backup().display()),
        format!(
            "install the package of {} again, then rm {}",
            quoted(&place.target),
            quoted(place.record())
        ),
    )
}

fn other(place: &Place) -> Failure {
    Failure::new(
        format!(
            "the backup {} is not the file that was backed up",
            place.backup().display()
        ),
        format!(
            "install the package of {} again, then rm {} {}",
            quoted(&place.target),
            quoted(place.backup()),
            quoted(place.record())
        ),
    )
}
