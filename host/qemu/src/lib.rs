//! The device model as QEMU sees it: a static library with a C interface.
//!
//! `tree/hw/misc/vgpu-stub.c` is the other half, with what is beside it: a QEMU
//! device that decides nothing and asks here. The interface is declared to C in
//! `tree/hw/misc/vgpu-stub.h`, which a test holds against this file.
//!
//! Pointers are Rust references, so C must pass valid, aligned, non-null ones
//! to initialised values, and never the same device from two threads at once;
//! QEMU calls devices under its big lock.
#![allow(unsafe_code)] // exported symbols, and pointers and a descriptor of C's

use std::ffi::c_char;

use vgpu_abi::{bar0, ids};
use vgpu_device::{Device, FEATURES_STATE_SIZE, Refused, STATE_SIZE};
use vgpu_pci::capability::PortType;

use sharing::Sharing;

mod features;
mod instance;
mod memory;
mod options;
mod sharing;
mod values;

pub use features::{
    VGPU_CHANNELS, VGPU_DOORBELLS, VGPU_MSIX_PENDING, VGPU_MSIX_TABLE, VGPU_VECTOR_CHANNELS,
    VGPU_VECTOR_CONTROL, VGPU_VECTORS, vgpu_connect, vgpu_detach, vgpu_hear, vgpu_is_asked,
    vgpu_is_raised, vgpu_is_settling, vgpu_is_shared, vgpu_next_doorbell, vgpu_raised,
    vgpu_unmapped, vgpu_unwatched, vgpu_watched, vgpu_work,
};
pub use instance::{VgpuDevice, VgpuTodo};
pub use memory::{VgpuFound, VgpuMemory, VgpuPresence};
pub use options::{VgpuOptions, VgpuPlace};
pub use sharing::VgpuDoorbell;
pub use values::{VGPU_DESCRIPTION_SIZE, VGPU_NAME_SIZE, VgpuValue, vgpu_value, vgpu_value_at};

/// Bytes of config space that the model implements; those above read 0.
pub const VGPU_CONFIG_SIZE: usize = 256;
const _: () = assert!(VGPU_CONFIG_SIZE == vgpu_pci::SIZE);

/// Bytes of saved state that every device has. Those after them are the state of
/// capabilities that hold something beside their registers.
pub const VGPU_STATE_FIXED: usize = 1296;
/// Room for a saved state, in bytes: more than any has.
pub const VGPU_STATE_MOST: usize = 8192;
const _: () =
    assert!(VGPU_STATE_FIXED <= STATE_SIZE && STATE_SIZE + FEATURES_STATE_SIZE <= VGPU_STATE_MOST);

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
    let made = options::check(options).and_then(|(config, place)| {
        let sharing = config
            .features
            .as_ref()
            .map(|features| Sharing::new(features, place));
        Ok(Box::new(VgpuDevice {
            device: Device::new(&config, port_type),
            refused_reads: 0,
            refused_writes: 0,
            sharing: sharing
                .transpose()
                .map_err(|error| format!("property 'features': {error}"))?,
        }))
    });
    made.map_err(|message| fill(error, &message)).ok()
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
/// at `offset`.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_config_write(
    device: &mut VgpuDevice,
    offset: u32,
    size: u32,
    value: u32,
) -> VgpuTodo {
    let value = value.to_le_bytes();
    let size = value.len().min(size as usize);
    let effects = device
        .device
        .config_write(saturate(offset), value.split_at(size).0);
    device.act(&effects)
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
/// then.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_bar0_write(
    device: &mut VgpuDevice,
    offset: u64,
    size: u32,
    value: u64,
    refused: &mut bool,
) -> VgpuTodo {
    let written = device.device.bar0_write(offset, size as usize, value);
    *refused = written.is_err();
    match written {
        Ok(effects) => device.act(&effects),
        Err(Refused) => {
            device.refused_writes = device.refused_writes.wrapping_add(1);
            VgpuTodo::default()
        }
    }
}

/// Puts the device back to its power-on state, as QEMU does with its own part
/// of it. With `settle` it returns when nobody has the guest's memory any more,
/// or after a second.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_reset(device: &mut VgpuDevice, settle: bool) -> VgpuTodo {
    let effects = device.device.reset();
    let mut todo = device.act(&effects);
    if settle {
        todo = todo.and(device.settle());
    }
    // It is what QEMU asked for.
    VgpuTodo {
        reset: false,
        ..todo
    }
}

/// The host writes the Status register. Where it is a driver's, returns false, and says so in `error`.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_set_status(
    device: &mut VgpuDevice,
    status: u32,
    error: &mut [c_char; VGPU_ERROR_SIZE],
) -> bool {
    match device.device.set_status(status) {
        // Nothing follows of it.
        Ok(_) => true,
        Err(cause) => {
            fill(error, &cause.to_string());
            false
        }
    }
}

/// Saves all guest-visible state.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_save(device: &VgpuDevice, state: &mut VgpuState) {
    let features = device.device.save_features();
    let saved = device.device.save();
    let saved = saved.into_iter().chain(features.into_iter().flatten());
    // At most the room there is, by the assertion above.
    state.size = device.device.state_size() as u32;
    for (to, from) in state.bytes.iter_mut().zip(saved) {
        *to = from;
    }
}

/// Takes over a saved state, and says in `todo` what QEMU has to do. If it is
/// not one of such a device, returns false, says why in `error`, and leaves the
/// device as it was.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_restore(
    device: &mut VgpuDevice,
    state: &VgpuState,
    todo: &mut VgpuTodo,
    error: &mut [c_char; VGPU_ERROR_SIZE],
) -> bool {
    let size = state.bytes.len().min(state.size as usize);
    match device.device.restore(state.bytes.split_at(size).0) {
        Ok(effects) => {
            *todo = device.act(&effects);
            true
        }
        Err(cause) => {
            fill(error, &cause.to_string());
            false
        }
    }
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
