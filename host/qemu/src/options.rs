//! What the user chose.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use uuid::Uuid;
use vgpu_abi::features::SEGMENT_ADDRESS;
use vgpu_device::{Bar0Size, DeviceConfig, FeaturesConfig};
use vgpu_pci::PciId;

use crate::sharing::Place;

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
    /// Whether the device has features.
    pub features: bool,
    /// Where the daemon listens that serves its channels; NULL for none.
    pub link: *mut c_char,
    /// The machine's UUID, by which the daemon knows it; NULL for none.
    pub machine: *mut c_char,
    /// Whether other processes can map the guest's memory.
    pub memory_is_shared: bool,
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

/// Checks the options; the error names the one that is wrong.
pub(crate) fn check(options: &VgpuOptions) -> Result<(DeviceConfig, Option<Place>), String> {
    let id = |name, id| PciId::try_from(id).map_err(|cause| format!("property '{name}': {cause}"));
    let config = DeviceConfig {
        vendor_id: id("vendor-id", options.vendor_id)?,
        device_id: id("device-id", options.device_id)?,
        subsystem_vendor_id: id("subsystem-vendor-id", options.subsystem_vendor_id)?,
        subsystem_id: id("subsystem-id", options.subsystem_id)?,
        revision: options.revision,
        bar0_size: Bar0Size::try_from(options.bar0_size)
            .map_err(|cause| format!("property 'bar0-size': {cause}"))?,
        features: options.features.then(|| features(options.memory_is_shared)),
    };
    Ok((config, place(options)?))
}

/// What the device offers: no memory, where that of the machine cannot be shared.
fn features(memory_is_shared: bool) -> FeaturesConfig {
    let features = FeaturesConfig::default();
    let without = if memory_is_shared { 0 } else { SEGMENT_ADDRESS };
    FeaturesConfig {
        offered: features.offered & !without,
        ..features
    }
}

fn place(options: &VgpuOptions) -> Result<Option<Place>, String> {
    let (link, machine) = (text(options.link), text(options.machine));
    if !options.features && (link.is_some() || machine.is_some()) {
        return Err(
            "properties 'link' and 'machine' have no meaning for a device without \
                    features; add features=on, or leave them out"
                .into(),
        );
    }
    match (link, machine) {
        (None, None) => Ok(None),
        (Some(link), Some(machine)) => {
            let machine = machine.to_string_lossy();
            let uuid = Uuid::parse_str(&machine).map_err(|_| {
                format!("property 'machine': '{machine}' is no UUID; give the machine's as vgpud's configuration has it")
            })?;
            Ok(Some(Place {
                socket: PathBuf::from(OsStr::from_bytes(link.to_bytes())),
                machine: uuid.into_bytes(),
            }))
        }
        (Some(_), None) => {
            Err("property 'link' needs the property 'machine': the machine's UUID".into())
        }
        (None, Some(_)) => {
            Err("property 'machine' needs the property 'link': the daemon's socket".into())
        }
    }
}

fn text<'a>(pointer: *mut c_char) -> Option<&'a CStr> {
    // SAFETY: C passes NULL, or a text that is closed by NUL and is not changed while the options are checked.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}
