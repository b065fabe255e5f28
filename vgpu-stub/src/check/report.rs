//! The result of a check. Its JSON form is a promise: `check --help`
//! documents it.

use std::fmt;

use serde::Serialize;

use super::{address::PciAddress, identity::Ids};
use crate::failure::Failure;

/// Raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// The success criteria of step 1, in the order of the guide.
const NAMES: [&str; 7] = [
    "Device appears on the PCI bus",
    "Vendor ID is the expected one",
    "Device ID is the expected one",
    "Class is Processing accelerators",
    "Device has a memory BAR",
    "Kernel log has no complaint about the device",
    "Linux PCI subsystem can probe the device",
];

#[derive(Serialize)]
pub(super) struct Report {
    version: u32,
    vendor_id: String,
    device_id: String,
    read_only: bool,
    /// No criterion of any device fails.
    pub(super) holds: bool,
    pub(super) devices: Vec<Device>,
}

impl Report {
    pub(super) fn new(ids: &Ids, read_only: bool, devices: Vec<Device>) -> Self {
        let mut criteria = devices.iter().flat_map(|device| &device.criteria);
        Self {
            version: VERSION,
            vendor_id: ids.vendor.to_string(),
            device_id: ids.device.to_string(),
            read_only,
            holds: criteria.all(|criterion| criterion.verdict != Verdict::Fail),
            devices,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Device {
    /// None where no device was found.
    pub(super) address: Option<PciAddress>,
    pub(super) criteria: Vec<Criterion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Pass,
    Fail,
    Skipped,
}

#[derive(Serialize)]
pub(super) struct Criterion {
    /// 1 to 7.
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) evidence: Evidence,
    /// Why it fails.
    pub(super) cause: Option<String>,
    /// What to do about it.
    pub(super) mend: Option<String>,
}

impl Criterion {
    /// Runs the test of the criterion with this number, 1 to 7.
    pub(super) fn judge(
        number: usize,
        test: impl FnOnce(&mut Evidence) -> Result<(), Failure>,
    ) -> Self {
        let mut evidence = Evidence::default();
        let failure = test(&mut evidence).err();
        let verdict = match failure {
            None => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        let (cause, mend) = failure.map(|failure| (failure.cause, failure.mend)).unzip();
        Self {
            number,
            name: NAMES[number - 1],
            verdict,
            evidence,
            cause,
            mend,
        }
    }

    /// Leaves the criterion with this number out, for a reason.
    pub(super) fn skipped(number: usize, reason: &str) -> Self {
        let mut criterion = Self::judge(number, |evidence| {
            evidence.note(format!("skipped ({reason})"));
            Ok(())
        });
        criterion.verdict = Verdict::Skipped;
        criterion
    }

    pub(super) fn passes(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}

/// What was looked at and found right, line by line.
#[derive(Default, Serialize)]
pub(super) struct Evidence(Vec<String>);

impl Evidence {
    pub(super) fn note(&mut self, line: impl fmt::Display) {
        self.0.push(line.to_string());
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
