//! The capabilities of the function.

use vgpu_pci::capability::{Capability, CapabilityList, Express, Msix};

/// Each capability that the device can have, in the order of the list; which it
/// has depends on where it sits.
#[derive(Debug)]
pub(crate) struct Capabilities {
    pub(crate) express: Option<Express>,
    pub(crate) msix: Option<Msix>,
}

impl Capabilities {
    /// The most bytes that their saved state takes: of each that has some, 4
    /// and [`CapabilityState::size`](vgpu_pci::capability::CapabilityState::size).
    pub(crate) const STATE_SIZE: usize = 0;
}

impl CapabilityList for Capabilities {
    fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
        let Self { express, msix } = self;
        let list = [
            express.as_ref().map(|it| it as _),
            msix.as_ref().map(|it| it as _),
        ];
        list.into_iter().flatten()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
        let Self { express, msix } = self;
        let list = [
            express.as_mut().map(|it| it as _),
            msix.as_mut().map(|it| it as _),
        ];
        list.into_iter().flatten()
    }
}
