//! Capabilities (PCI 3.0 section 6.7): each is a type of its own that states
//! its registers as data, sees the guest's writes to them, and resets, saves
//! and restores what it holds beside them.

mod express;
mod interface;
mod msix;
pub(crate) mod saved;

pub use express::{Express, PortType};
pub use interface::{Capability, CapabilityList, CapabilityState, MOST_STATE};
pub use msix::Msix;
