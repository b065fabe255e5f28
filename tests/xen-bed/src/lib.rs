#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bed;
mod dom0;
mod library_closure;
mod machine;
mod packages;
mod scenario;
mod snapshot;
mod version;

pub use bed::Bed;
pub use scenario::{Outcome, Scenario};
pub use version::XenVersion;
