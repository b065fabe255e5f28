//! Identity of the PCI function. All values are the power-on defaults; an
//! operator may choose other vendor, device and subsystem ids.

constants! { CONSTANTS, "VGPU_";
    /// Vendor ID, config offset 0x00: Red Hat, Inc., as virtio devices use it.
    VENDOR_ID: u16 = 0x1af4;
    /// Device ID, config offset 0x02.
    DEVICE_ID: u16 = 0x1111;
}

/// Subsystem Vendor ID, config offset 0x2C.
pub const SUBSYSTEM_VENDOR_ID: u16 = 0x1af4;

/// Subsystem ID, config offset 0x2E.
pub const SUBSYSTEM_ID: u16 = 0x1111;

/// Revision ID, config offset 0x08.
pub const REVISION: u8 = 0x01;

/// Class code, 24 bits: base class 0x12 (processing accelerator), subclass
/// 0x00, programming interface 0x00 (PCI Code and ID Assignment 1.11,
/// section 1.19). Never a VGA class: no display driver shall bind.
pub const CLASS_CODE: u32 = 0x12_0000;
