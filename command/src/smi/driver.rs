//! What the driver of this machine's device says.

use std::fs;
use std::path::Path;

use vgpu_abi::features::state;
use vgpu_node::Node;

/// The first device's node, which programs use.
const NODE: &str = "/dev/vgpu0";
/// A link to the folder of its device.
const DEVICE: &str = "/sys/class/misc/vgpu0/device";

/// A device that has a driver.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) node: &'static str,
    /// On the PCI bus, where that is known.
    pub(super) address: Option<String>,
    /// Major and minor, where the node may be opened.
    pub(super) abi: Option<(u16, u16)>,
    /// How far the host is, likewise.
    pub(super) host: Option<&'static str>,
}

impl Driver {
    /// The first device, where a driver has it.
    pub(super) fn find() -> Option<Self> {
        if !Path::new(NODE).exists() {
            return None;
        }
        let info = Node::open(Path::new(NODE))
            .and_then(|node| node.info())
            .ok();
        let address = fs::read_link(DEVICE).ok();
        Some(Self {
            node: NODE,
            address: address.and_then(|it| Some(it.file_name()?.to_string_lossy().into_owned())),
            abi: info.map(|info| ((info.abi >> 16) as u16, info.abi as u16)),
            host: info.map(|info| name_of(info.state)),
        })
    }
}

/// What STATE means.
const fn name_of(value: u32) -> &'static str {
    match value {
        state::NO_DAEMON => "no daemon",
        state::READY => "ready",
        state::RESETTING => "resetting",
        state::LOST => "lost",
        _ => "unknown",
    }
}
