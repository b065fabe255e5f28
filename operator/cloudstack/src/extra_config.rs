//! What a VM's `extraconfig` says, per hypervisor.

use std::path::Path;

use serde_json::json;
use vgpu_emulator::{PlacedDevice, as_qemu};
use vgpu_pci::Slot;
use vgpu_terminal::Failure;

use crate::call::percent_encoded;

/// libvirt's namespace for arguments of QEMU. CloudStack's own root element
/// does not declare it.
const NAMESPACE: &str = "http://libvirt.org/schemas/domain/qemu/1.0";

/// Extra configuration of a VM.
#[derive(Debug)]
pub(crate) struct ExtraConfig {
    /// What CloudStack is to see after it has decoded it.
    text: String,
    /// The keys or XML tags in it, as the setting's list has to allow them.
    pub(crate) keys: &'static [&'static str],
}

impl ExtraConfig {
    /// XCP-ng: the VM's builder starts the emulator, and such a VM cannot be
    /// migrated. CloudStack splits the lines and trims nothing.
    pub(crate) fn xenserver() -> Self {
        Self {
            text: "platform:xenguest=vgpu-stub\nplatform:nomigrate=true".into(),
            keys: &["platform:xenguest", "platform:nomigrate"],
        }
    }

    /// KVM, with a QEMU that has the device: each device's properties as the
    /// user gave them, and where it is to be.
    pub(crate) fn built_in<'a>(devices: impl Iterator<Item = (&'a str, Slot)>) -> Self {
        Self::qemu(devices.map(|(text, slot)| format!("vgpu-stub,{}", as_qemu(text, slot))))
    }

    /// KVM, with a stock QEMU and a server beside it.
    ///
    /// # Errors
    ///
    /// A path that QEMU on another machine cannot be told.
    pub(crate) fn vfio_user(socket: &Path) -> Result<Self, Failure> {
        let path = socket.to_str().filter(|_| socket.is_absolute());
        let path = path.filter(|path| !path.chars().any(char::is_control));
        let Some(path) = path else {
            return Err(Failure::new(
                format!("--vfio-user {socket:?} is no full path of plain text"),
                "give the socket's path on the host, such as /run/vgpu-stub/vm1/vfio-user.sock",
            ));
        };
        let slot = u8::from(PlacedDevice::default().slot);
        let device = json!({
            "driver": "vfio-user-pci",
            "addr": format!("{slot:#x}"),
            "socket": { "type": "unix", "path": path },
        });
        Ok(Self::qemu([device.to_string()].into_iter()))
    }

    /// Arguments of QEMU, in libvirt's XML.
    fn qemu(devices: impl Iterator<Item = String>) -> Self {
        let arguments: String = devices
            .flat_map(|device| ["-device".to_owned(), device])
            .map(|word| format!("  <qemu:arg value=\"{}\"/>\n", attribute(&word)))
            .collect();
        Self {
            text: format!(
                "<qemu:commandline xmlns:qemu=\"{NAMESPACE}\">\n{arguments}</qemu:commandline>"
            ),
            keys: &["qemu:commandline", "qemu:arg"],
        }
    }

    /// The value of the API's parameter `extraconfig`, which CloudStack
    /// decodes once more after the request itself.
    pub(crate) fn encoded(&self) -> String {
        percent_encoded(&self.text)
    }
}

/// Text as the value of an XML attribute in double quotes.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
