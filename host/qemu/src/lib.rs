//! The device model as QEMU sees it: a static library with a C interface.
//!
//! `tree/hw/misc/vgpu-stub.c` is the other half: a QEMU device that decides
//! nothing and asks here. The interface is declared to C in
//! `tree/hw/misc/vgpu-stub.h`, which a test holds against this file.
//!
//! Pointers are Rust references, so C must pass valid, aligned, non-null ones
//! to initialised values, and never the same device from two threads at once;
//! QEMU calls devices under its big lock.
#![allow(unsafe_code)] // exported symbols, and the one pointer that C frees

use std::ffi::c_char;

use vgpu_abi::{bar0, ids};
use vgpu_device::{Bar0Size, Device, DeviceConfig, Effects, Refused, STATE_SIZE};
use vgpu_pci::PciId;
use vgpu_pci::capability::PortType;

mod instance;
mod values;

pub use instance::VgpuDevice;
pub use values::{VGPU_DESCRIPTION_SIZE, VGPU_NAME_SIZE, VgpuValue, vgpu_value, vgpu_value_at};

/// Bytes of config space that the model implements; those above read 0.
pub const VGPU_CONFIG_SIZE: usize = 256;
const _: () = assert!(VGPU_CONFIG_SIZE == vgpu_pci::SIZE);

/// Bytes of saved state that every device has. Those after them are the state of
/// capabilities that hold something beside their registers.
pub const VGPU_STATE_FIXED: usize = 1296;
/// Room for a saved state, in bytes: more than any has.
pub const VGPU_STATE_MOST: usize = 8192;
const _: () = assert!(VGPU_STATE_FIXED <= STATE_SIZE && STATE_SIZE <= VGPU_STATE_MOST);

/// Room for an error message with its closing NUL, in bytes.
pub const VGPU_ERROR_SIZE: usize = 256;

/// Default of [`VgpuOptions::vendor_id`].
pub const VGPU_VENDOR_ID: u16 = 0x1af4;
/// Default of [`VgpuOptions::device_id`].
pub const VGPU_DEVICE_ID: u16 = 0x1111;
/// Default of [`VgpuOptions::subsystem_vendor_id`].
pub const VGPU_SUBSYSTEM_VENDOR_ID: u16 = 0x1af4;
/// Default of [`VgpuOptions::subsystem_id`].
pub const VGPU_SUBSYSTEM_ID: u16 = 0x1111;
/// Default of [`VgpuOptions::revision`].
pub const VGPU_REVISION: u8 = 1;
/// Default of [`VgpuOptions::bar0_size`].
pub const VGPU_BAR0_SIZE: u64 = 4096;
// C needs literals; the values are the ABI's.
const _: () = assert!(
    VGPU_VENDOR_ID == ids::VENDOR_ID
        && VGPU_DEVICE_ID == ids::DEVICE_ID
        && VGPU_SUBSYSTEM_VENDOR_ID == ids::SUBSYSTEM_VENDOR_ID
        && VGPU_SUBSYSTEM_ID == ids::SUBSYSTEM_ID
        && VGPU_REVISION == ids::REVISION
        && VGPU_BAR0_SIZE == bar0::DEFAULT_SIZE as u64
);

/// What the user chose, unchecked.
#[repr(C)]
#[derive(Debug)]
pub struct VgpuOptions {
    /// Vendor ID.
    pub vendor_id: u16,
    /// Device ID.
    pub device_id: u16,
    /// Subsystem Vendor ID.
    pub subsystem_vendor_id: u16,
    /// Subsystem ID.
    pub subsystem_id: u16,
    /// Size of BAR0 in bytes.
    pub bar0_size: u64,
    /// Revision ID.
    pub revision: u8,
    /// Where the device sits.
    pub place: VgpuPlace,
}

/// Where the device sits, which decides what it is in PCI Express.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub enum VgpuPlace {
    /// On a root bus, or below bridges in a machine of conventional PCI alone:
    /// an endpoint that is integrated and has no link.
    RootBus,
    /// Behind a port of PCI Express: an endpoint with a link.
    Port,
    /// Below a bridge from PCI Express to conventional PCI: no capability, as
    /// QEMU hides it of vfio devices there (`hw/vfio/pci.c`).
    ConventionalBridge,
}

/// A saved state, which has a length of its own.
#[repr(C)]
#[derive(Debug)]
pub struct VgpuState {
    /// How many of the bytes it has, at least [`VGPU_STATE_FIXED`].
    pub size: u32,
    /// The bytes, and room.
    pub bytes: [u8; VGPU_STATE_MOST],
}

/// Makes a device. On an option that cannot be, returns NULL and says in
/// `error` which and why. Free the device with [`vgpu_free`].
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_new(
    options: &VgpuOptions,
    error: &mut [c_char; VGPU_ERROR_SIZE],
) -> Option<Box<VgpuDevice>> {
    let port_type = match options.place {
        VgpuPlace::RootBus => Some(PortType::RootComplexIntegratedEndpoint),
        VgpuPlace::Port => Some(PortType::Endpoint),
        VgpuPlace::ConventionalBridge => None,
    };
    match config(options) {
        Ok(config) => Some(Box::new(VgpuDevice {
            device: Device::new(&config, port_type),
            refused_reads: 0,
            refused_writes: 0,
        })),
        Err(message) => {
            fill(error, &message);
            None
        }
    }
}

/// Frees a device; NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_free(device: Option<Box<VgpuDevice>>) {
    drop(device);
}

/// Size of BAR0 in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_bar0_size(device: &VgpuDevice) -> u32 {
    device.device.bar0_size()
}

/// The guest reads `size` (1 to 4) bytes of config space at `offset`.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_config_read(device: &VgpuDevice, offset: u32, size: u32) -> u32 {
    let mut value = [0; 4];
    let size = value.len().min(size as usize);
    device
        .device
        .config_read(saturate(offset), value.split_at_mut(size).0);
    u32::from_le_bytes(value)
}

/// The guest writes the low `size` (1 to 4) bytes of `value` to config space
/// at `offset`. Returns whether the device reset itself because of it.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_config_write(
    device: &mut VgpuDevice,
    offset: u32,
    size: u32,
    value: u32,
) -> bool {
    let value = value.to_le_bytes();
    let size = value.len().min(size as usize);
    let effects = device
        .device
        .config_write(saturate(offset), value.split_at(size).0);
    has_reset(&effects)
}

/// All of config space as the guest would read it.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_config(device: &VgpuDevice, bytes: &mut [u8; VGPU_CONFIG_SIZE]) {
    device.device.config_read(0, bytes);
}

/// The bits of config space that the guest may change.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_config_write_mask(device: &VgpuDevice, mask: &mut [u8; VGPU_CONFIG_SIZE]) {
    device.device.config_write_mask(0, mask);
}

/// The guest reads `size` bytes of BAR0 at `offset`. Sets `refused` to whether
/// the device takes no such access; the value is then 0.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_bar0_read(
    device: &mut VgpuDevice,
    offset: u64,
    size: u32,
    refused: &mut bool,
) -> u64 {
    let read = device.device.bar0_read(offset, size as usize);
    *refused = read.is_err();
    read.unwrap_or_else(|Refused| {
        device.refused_reads = device.refused_reads.wrapping_add(1);
        0
    })
}

/// The guest writes the low `size` bytes of `value` to BAR0 at `offset`. Sets
/// `refused` to whether the device takes no such access; nothing is changed
/// then. Returns whether the device reset itself because of it.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_bar0_write(
    device: &mut VgpuDevice,
    offset: u64,
    size: u32,
    value: u64,
    refused: &mut bool,
) -> bool {
    let written = device.device.bar0_write(offset, size as usize, value);
    *refused = written.is_err();
    match written {
        Ok(effects) => has_reset(&effects),
        Err(Refused) => {
            device.refused_writes = device.refused_writes.wrapping_add(1);
            false
        }
    }
}

/// Puts the device back to its power-on state, as QEMU does with its own part
/// of it.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_reset(device: &mut VgpuDevice) {
    let reset = has_reset(&device.device.reset());
    debug_assert!(reset, "it is what QEMU asked for");
}

/// The host writes the Status register. Where it is a driver's, returns false, and says so in `error`.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_set_status(
    device: &mut VgpuDevice,
    status: u32,
    error: &mut [c_char; VGPU_ERROR_SIZE],
) -> bool {
    match device.device.set_status(status) {
        Ok(effects) => {
            let reset = has_reset(&effects);
            debug_assert!(!reset, "Status is no reset");
            true
        }
        Err(cause) => {
            fill(error, &cause.to_string());
            false
        }
    }
}

/// Saves all guest-visible state.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_save(device: &VgpuDevice, state: &mut VgpuState) {
    let saved = device.device.save();
    // At most the room there is, by the assertion above.
    state.size = device.device.state_size().min(saved.len()) as u32;
    for (to, from) in state.bytes.iter_mut().zip(saved) {
        *to = from;
    }
}

/// Takes over a saved state. If it is not one of such a device, returns false,
/// says why in `error`, and leaves the device as it was.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_restore(
    device: &mut VgpuDevice,
    state: &VgpuState,
    error: &mut [c_char; VGPU_ERROR_SIZE],
) -> bool {
    let size = state.bytes.len().min(state.size as usize);
    match device.device.restore(state.bytes.split_at(size).0) {
        Ok(effects) => {
            let reset = has_reset(&effects);
            debug_assert!(!reset, "a saved state is no reset");
            true
        }
        Err(cause) => {
            fill(error, &cause.to_string());
            false
        }
    }
}

/// Whether the device has reset itself, which is what QEMU has to act on.
#[must_use]
fn has_reset(effects: &Effects) -> bool {
    let Effects {
        // QEMU sees these two itself, in its own copy of the registers.
        bar0: _,
        bus_master: _,
        reset,
        // It has no features yet.
        doorbell: _,
        request: _,
        interrupt: _,
        revoke: _,
    } = effects;
    *reset
}

/// Checks the options; the error names the one that is wrong.
fn config(options: &VgpuOptions) -> Result<DeviceConfig, String> {
    let id = |name, id| PciId::try_from(id).map_err(|cause| format!("property '{name}': {cause}"));
    Ok(DeviceConfig {
        vendor_id: id("vendor-id", options.vendor_id)?,
        device_id: id("device-id", options.device_id)?,
        subsystem_vendor_id: id("subsystem-vendor-id", options.subsystem_vendor_id)?,
        subsystem_id: id("subsystem-id", options.subsystem_id)?,
        revision: options.revision,
        bar0_size: Bar0Size::try_from(options.bar0_size)
            .map_err(|cause| format!("property 'bar0-size': {cause}"))?,
        features: None,
    })
}

/// Offsets past 64 KiB are past any config space.
fn saturate(offset: u32) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}

/// Copies a message into a C buffer, cut to size and closed by NUL.
fn fill(buffer: &mut [c_char; VGPU_ERROR_SIZE], message: &str) {
    buffer.fill(0);
    for (to, from) in buffer
        .iter_mut()
        .zip(message.bytes().take(VGPU_ERROR_SIZE - 1))
    {
        *to = from as c_char;
    }
}
