//! The device as somebody on the host sees it.

use vgpu_abi::ids::CLASS_CODE;
use vgpu_control::protocol::Info;
use vgpu_pci::offset;
use vgpu_xen::Seen;

use crate::check::config::ConfigSpace;

/// Base class and subclass that the device has.
pub(super) const CLASS: u16 = (CLASS_CODE >> 8) as u16;

/// A PCI function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// As lspci writes it, such as 00:05.0, or what else tells it apart.
    pub(super) address: String,
    /// QEMU's name for what it is; empty where it is not known.
    pub(super) driver: String,
    pub(super) vendor: u16,
    pub(super) device: u16,
    /// Base class and subclass, where they are told.
    pub(super) class: Option<u16>,
    pub(super) bar0: Option<Bar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) is_memory: bool,
    pub(super) size: u64,
    pub(super) mapping: Mapping,
}

/// Where the guest reaches a BAR now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    At(u64),
    Nowhere,
    NotTold,
}

impl Function {
    /// A device as an emulator tells it on its control socket.
    pub(super) fn told(index: usize, info: &Info) -> Self {
        Self {
            address: format!("device {index}"),
            driver: String::new(),
            vendor: info.vendor_id,
            device: info.device_id,
            class: None,
            bar0: Some(Bar {
                is_memory: true,
                size: info.bar0_size.into(),
                mapping: Mapping::NotTold,
            }),
        }
    }

    /// A device as an emulator on Xen has kept it.
    pub(super) fn kept(index: usize, seen: &Seen) -> Option<Self> {
        let config = seen.config.iter().flat_map(|dword| dword.to_le_bytes());
        let config = ConfigSpace::new(config.collect());
        let [_, subclass, base] = config.bytes(offset::CLASS_CODE).ok()?;
        let size = |range: &std::ops::Range<u64>| range.end.saturating_sub(range.start);
        Some(Self {
            address: format!("device {index}"),
            driver: String::new(),
            vendor: config.u16(offset::VENDOR_ID).ok()?,
            device: config.u16(offset::DEVICE_ID).ok()?,
            class: Some(u16::from_be_bytes([base, subclass])),
            bar0: Some(Bar {
                is_memory: config.u32(offset::BAR0).ok()? & 1 == 0,
                size: seen.mapped.as_ref().map_or(0, size),
                mapping: match &seen.mapped {
                    Some(range) => Mapping::At(range.start),
                    None => Mapping::Nowhere,
                },
            }),
        })
    }
}
