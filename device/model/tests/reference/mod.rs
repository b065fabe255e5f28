//! Config space as PCI has it, written down apart from the model. The fuzz
//! targets take it from here too.

use vgpu_pci::capability::PortType;

/// Who may change the bits of a byte, and what it is after reset.
#[derive(Clone, Copy)]
pub(crate) struct Byte {
    pub(crate) reset: u8,
    pub(crate) writable: u8,
}

/// The config space byte by byte, from the specification of the device and
/// PCI 3.0 chapter 6 / PCIe 4.0 section 7.5.3. Independent of the model: no
/// constant of it is used.
pub(crate) fn reference(port_type: Option<PortType>, bar0_size: u32) -> [Byte; 256] {
    let mut bytes = [Byte {
        reset: 0,
        writable: 0,
    }; 256];
    let mut at = |offset: usize, reset: u32, writable: u32, len: usize| {
        for i in 0..len {
            bytes[offset + i] = Byte {
                reset: reset.to_le_bytes()[i],
                writable: writable.to_le_bytes()[i],
            };
        }
    };
    at(0x00, 0x1af4, 0, 2); // vendor
    at(0x02, 0x1111, 0, 2); // device
    at(0x04, 0, 0x0546, 2); // command: memory, master, parity, SERR, INTx disable
    at(0x08, 0x01, 0, 1); // revision
    at(0x0b, 0x12, 0, 1); // base class
    at(0x0c, 0, 0xff, 1); // cache line size
    at(0x10, 0, !(bar0_size - 1), 4); // BAR0
    at(0x2c, 0x1111_1af4, 0, 4); // subsystem
    at(0x3c, 0xff, 0xff, 1); // interrupt line
    if port_type.is_some() {
        at(0x06, 0x0010, 0, 2); // status: capability list
        at(0x34, 0x40, 0, 1); // capabilities pointer
        at(0x40, 0x10, 0, 2); // PCI Express, last
        at(0x44, 0x1000_8000, 0, 4); // FLR, role-based errors
        at(0x48, 0, 0x000f, 2); // device control: error reporting
    }
    match port_type {
        None => {}
        Some(PortType::RootComplexIntegratedEndpoint) => at(0x42, 0x0092, 0, 2),
        Some(PortType::Endpoint) => {
            at(0x42, 0x0002, 0, 2);
            at(0x4c, 0x0040_0011, 0, 4); // link capabilities: 2.5 GT/s x1
            at(0x50, 0, 0x00c3, 2); // link control
            at(0x52, 0x0011, 0, 2); // link status
            at(0x6c, 0x02, 0, 4); // link capabilities 2
        }
    }
    bytes
}
