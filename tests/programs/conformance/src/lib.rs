//! One suite that the device passes on every attachment.
//!
//! The suite speaks to a [`Target`]: config space and BAR0, as a guest reaches
//! them. Drivers exist for the bare model ([`Model`]), for a program inside a
//! Linux guest ([`guest`], and this crate's binary), and, in the test beds, for QEMU without
//! a guest.
//!
//! Accesses are aligned, as hypervisors split others before a device sees
//! them; the model's own tests cover the rest.

mod cases;
pub mod guest;
mod model;
mod reference;
mod target;
mod vfio;

use std::fmt;

pub use cases::{CASES, Case};
pub use model::Model;
pub use reference::Identity;
pub use target::{Error, Target};
pub use vfio::{Answer, EMULATED_FOR_VFIO, EmulatedBits};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The device did what it should.
    Passed,
    /// It did not, or the driver failed.
    Failed(String),
    /// The target cannot do what the case needs.
    Skipped(&'static str),
}

/// A case and how it ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// The case's name.
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Passed => write!(f, "passed   {}", self.name),
            Outcome::Failed(why) => write!(f, "FAILED   {}: {why}", self.name),
            Outcome::Skipped(why) => write!(f, "skipped  {}: {why}", self.name),
        }
    }
}

/// Runs every case against `target`, a device of this identity whose BAR0 is
/// placed and whose memory decode is on. Config space is afterwards as it was;
/// BAR0's registers and data region are 0.
pub fn run(target: &mut dyn Target, identity: &Identity) -> Vec<Report> {
    run_some(target, identity, |_| true)
}

/// As [`run`], but the cases that are chosen alone.
pub fn run_some(
    target: &mut dyn Target,
    identity: &Identity,
    chosen: impl Fn(&Case) -> bool,
) -> Vec<Report> {
    CASES
        .iter()
        .filter(|case| chosen(case))
        .map(|case| Report {
            name: case.name,
            outcome: match cases::run(case, target, identity) {
                Ok(()) => Outcome::Passed,
                Err(Error::Unsupported(why)) => Outcome::Skipped(why),
                Err(error) => Outcome::Failed(error.to_string()),
            },
        })
        .collect()
}
