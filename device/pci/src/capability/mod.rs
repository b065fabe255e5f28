//! Capabilities (PCI 3.0 section 6.7): each is a type of its own that states
//! its registers as data, and sees the guest's writes to them.

use std::fmt;

use crate::{Changes, DwordWrite, Register};

mod express;

pub use express::{Express, PortType};

/// A structure in the capability list.
///
/// To add one: a file here with the type, and a line where the device lists
/// its capabilities.
pub trait Capability: fmt::Debug + Send {
    /// The Capability ID (PCI 3.0 appendix H).
    fn id(&self) -> u8;

    /// The registers after reset, first to last. The low 16 bits of the first
    /// one (ID and next pointer) are filled in by the config space.
    fn registers(&self) -> Vec<Register>;

    /// The guest wrote to the register of this index, counted from the start
    /// of the capability. The register's writable bits are already updated;
    /// what is returned reaches the device as an event.
    fn written(&mut self, register: usize, write: DwordWrite) -> Changes {
        let _ = (register, write);
        Changes::empty()
    }
}
