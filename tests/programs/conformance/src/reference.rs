//! What the device is specified to be, written down apart from the model.

use vgpu_pci::capability::PortType;

/// The identity of the device under test.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// Vendor ID.
    pub vendor_id: u16,
    /// Device ID.
    pub device_id: u16,
    /// Subsystem Vendor ID.
    pub subsystem_vendor_id: u16,
    /// Subsystem ID.
    pub subsystem_id: u16,
    /// Revision ID.
    pub revision: u8,
    /// Size of BAR0 in bytes.
    pub bar0_size: u32,
    /// What it is in PCI Express, which follows from where it sits; `None`
    /// below a bridge from PCI Express to conventional PCI.
    pub port_type: Option<PortType>,
    /// Whether QEMU reaches the device by vfio, and so answers itself for the
    /// bits in [`EMULATED_FOR_VFIO`](crate::EMULATED_FOR_VFIO).
    pub by_vfio: bool,
    /// Whether it has features.
    pub features: bool,
}

impl Default for Identity {
    /// The device for which nothing was configured, on a root bus.
    fn default() -> Self {
        Self {
            vendor_id: 0x1af4,
            device_id: 0x1111,
            subsystem_vendor_id: 0x1af4,
            subsystem_id: 0x1111,
            revision: 0x01,
            bar0_size: 0x1000,
            port_type: Some(PortType::RootComplexIntegratedEndpoint),
            by_vfio: false,
            features: false,
        }
    }
}

/// A dword of config space.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dword {
    pub(crate) offset: u16,
    pub(crate) reset: u32,
    pub(crate) writable: u32,
    /// The bits that a function level reset does not reach.
    pub(crate) kept: u32,
}

/// Where the PCI Express capability is, where there is one.
const EXPRESS: u16 = 0x40;

impl Identity {
    /// Where the MSI-X capability is, where there is one: behind the other.
    fn msix(&self) -> Option<u16> {
        let at = match self.port_type {
            Some(_) => 0x7c,
            None => EXPRESS,
        };
        self.features.then_some(at)
    }

    /// Offsets and ids of the capabilities, in the order of the list.
    pub(crate) fn capabilities(&self) -> Vec<(u16, u8)> {
        let express = self.port_type.map(|_| (EXPRESS, 0x10));
        let msix = self.msix().map(|at| (at, 0x11));
        express.into_iter().chain(msix).collect()
    }

    /// All 64 dwords: value after reset and the bits a guest may change
    /// (PCI 3.0 section 6.1, PCIe 4.0 section 7.5.3).
    pub(crate) fn dwords(&self) -> Vec<Dword> {
        let two = |low: u16, high: u16| (u32::from(high) << 16) | u32::from(low);
        let mut implemented = vec![
            (0x00, two(self.vendor_id, self.device_id), 0),
            (0x04, 0, 0x0000_0546),
            (0x08, 0x1200_0000 | u32::from(self.revision), 0),
            (0x0c, 0, 0x0000_00ff),
            (0x10, 0, !(self.bar0_size - 1)),
            (0x2c, two(self.subsystem_vendor_id, self.subsystem_id), 0),
            (0x3c, 0x0000_00ff, 0x0000_00ff),
        ];
        if self.port_type.is_some() {
            implemented.extend([
                (0x04, 0x0010_0000, 0x0000_0546),
                (0x34, 0x0000_0040, 0),
                (0x44, 0x1000_8000, 0),
                (0x48, 0, 0x0000_000f),
            ]);
        }
        match self.port_type {
            None => {}
            Some(PortType::RootComplexIntegratedEndpoint) => {
                implemented.push((0x40, 0x0092_0010, 0));
            }
            Some(PortType::Endpoint) => implemented.extend([
                (0x40, 0x0002_0010, 0),
                (0x4c, 0x0040_0011, 0),
                (0x50, 0x0011_0000, 0x0000_00c3),
                (0x6c, 0x0000_0002, 0),
            ]),
        }
        if let Some(at) = self.msix() {
            let first = u32::from(self.capabilities()[0].0);
            implemented.extend([
                (0x04, 0x0010_0000, 0x0000_0546),
                (0x34, first, 0),
                (at, 0x0001_0011, 0xc000_0000),
                (at + 4, 0x0000_0c00, 0),
                (at + 8, 0x0000_0e00, 0),
            ]);
            for (offset, reset, _) in &mut implemented {
                if *offset == EXPRESS && at != EXPRESS {
                    *reset |= u32::from(at) << 8;
                }
            }
        }
        (0..0x100)
            .step_by(4)
            .map(|offset| {
                let (reset, writable) = implemented
                    .iter()
                    .rfind(|(at, ..)| *at == offset)
                    .map_or((0, 0), |(_, reset, writable)| (*reset, *writable));
                let mut dword = Dword {
                    offset,
                    reset,
                    writable,
                    kept: 0,
                };
                for bits in self.emulated().filter(|bits| bits.offset == offset) {
                    bits.apply(&mut dword);
                }
                dword
            })
            .collect()
    }
}
