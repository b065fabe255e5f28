//! The result of a check. Its JSON form is a promise: `check --help`
//! documents it.

use serde::Serialize;
use vgpu_checklist::Evidence;
use vgpu_terminal::Failure;

use super::{address::PciAddress, ids::Ids};

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
pub(crate) struct Report {
    version: u32,
    vendor_id: String,
    device_id: String,
    read_only: bool,
    /// No criterion of any device fails.
    pub(crate) holds: bool,
    pub(crate) devices: Vec<Device>,
}

impl Report {
    pub(crate) fn new(ids: &Ids, read_only: bool, devices: Vec<Device>) -> Self {
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
pub(crate) struct Device {
    /// None where no device was found.
    pub(crate) address: Option<PciAddress>,
    pub(crate) criteria: Vec<Criterion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Skipped,
}

#[derive(Serialize)]
pub(crate) struct Criterion {
    /// 1 to 7.
    pub(crate) number: usize,
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) evidence: Evidence,
    /// Why it fails.
    pub(crate) cause: Option<String>,
    /// What to do about it.
    pub(crate) mend: Option<String>,
}

impl Criterion {
    /// Runs the test of the criterion with this number, 1 to 7.
    pub(crate) fn judge(
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
    pub(crate) fn skipped(number: usize, reason: &str) -> Self {
        let mut criterion = Self::judge(number, |evidence| {
            evidence.note(format!("skipped ({reason})"));
            Ok(())
        });
        criterion.verdict = Verdict::Skipped;
        criterion
    }

    pub(crate) fn passes(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}
