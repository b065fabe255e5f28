//! Real Xen, without hardware for it: a machine that QEMU emulates, with hypervisor, dom0 and toolstack from Debian's
//! packages. It is booted once and saved; each scenario, a shell script in dom0, starts from there within a second.

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
