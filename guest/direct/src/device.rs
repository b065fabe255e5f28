//! The device as sysfs has it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vgpu_abi::{bar0, ids};
use vgpu_bar::MappedBar;
use vgpu_terminal::{Failure, OrMend};

use crate::Registers;

/// The register Command of config space (PCI 3.0 section 6.2.2), and what a driver sets in it.
const COMMAND: u64 = 0x04;
const MEMORY: u16 = 1 << 1;
const BUS_MASTER: u16 = 1 << 2;

const AS_ROOT: &str = "run it as root, in a guest whose kernel is not locked down (secure boot)";

/// A device of this machine that no driver has: its registers, and its config space. It may reach this machine's memory
/// until it is dropped.
#[derive(Debug)]
pub struct Device {
    address: String,
    bar0: MappedBar,
    config: File,
    command: u16,
}

impl Device {
    /// Opens the device with this address, such as `0000:00:04.0`, or the only one with our ids.
    ///
    /// # Errors
    /// There is none, or more than one; a driver has it; this is not root.
    pub fn open(address: Option<&str>) -> Result<Self, Failure> {
        if !rustix::process::geteuid().is_root() {
            return Err(Failure::new(
                "only root may reach the device without a driver",
                "run it as root, as by sudo",
            ));
        }
        let folder = find(Path::new(vgpu_node::DEVICES), address)?;
        let address = name(&folder);
        if let Ok(driver) = fs::read_link(folder.join("driver")) {
            let driver = name(&driver);
            return Err(Failure::new(
                format!("the driver {driver} has the device {address}"),
                format!(
                    "use it by that driver, or take it away: echo {address} > /sys/bus/pci/drivers/{driver}/unbind"
                ),
            ));
        }
        let open = |file: &str| -> Result<File, Failure> {
            let path = folder.join(file);
            let opened = File::options().read(true).write(true).open(&path);
            opened.map_err(|error| {
                Failure::new(format!("cannot open {}: {error}", path.display()), AS_ROOT)
            })
        };
        let (config, resource) = (open("config")?, open("resource0")?);
        let bar0 = MappedBar::new(resource, bar0::END as usize).map_err(|error| {
            Failure::new(format!("cannot map BAR0 of {address}: {error}"), AS_ROOT)
        })?;
        let command = read(&config, COMMAND).or_mend(AS_ROOT)?;
        let device = Self {
            address,
            bar0,
            config,
            command,
        };
        device
            .write_config(COMMAND, command | MEMORY | BUS_MASTER)
            .or_mend(AS_ROOT)?;
        Ok(device)
    }

    /// Its address, as `lspci -D` prints it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Reads 16 bits of config space.
    ///
    /// # Errors
    /// The system's.
    pub fn read_config(&self, offset: u64) -> io::Result<u16> {
        read(&self.config, offset)
    }

    /// Writes 16 bits of config space.
    ///
    /// # Errors
    /// The system's.
    pub fn write_config(&self, offset: u64, value: u16) -> io::Result<()> {
        self.config.write_all_at(&value.to_le_bytes(), offset)
    }
}

impl Registers for Device {
    fn read(&self, offset: u64) -> u32 {
        self.bar0
            .read(offset as usize, 4)
            .map_or(u32::MAX, |value| value as u32)
    }

    fn write(&self, offset: u64, value: u32) {
        Registers::write(&self.bar0, offset, value);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Where the device is gone, nothing is left to do.
        let _ = self.write_config(COMMAND, self.command);
    }
}

fn read(config: &File, offset: u64) -> io::Result<u16> {
    let mut bytes = [0; 2];
    config.read_exact_at(&mut bytes, offset)?;
    Ok(u16::from_le_bytes(bytes))
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The folder of the device that is meant, among those in `devices`.
fn find(devices: &Path, address: Option<&str>) -> Result<PathBuf, Failure> {
    let all = fs::read_dir(devices).or_mend("run it in a guest that has PCI")?;
    let mut all: Vec<_> = all.flatten().map(|entry| entry.path()).collect();
    all.sort();
    let ours: Vec<_> = all
        .iter()
        .filter(|folder| vgpu_node::is_device(folder))
        .collect();
    let listed = || {
        ours.iter()
            .map(|it| name(it))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (address, &ours[..]) {
        (Some(address), _) => {
            let found = all.iter().find(|folder| name(folder) == address);
            found.cloned().ok_or_else(|| {
                let mend = match ours.is_empty() {
                    true => "name one as lspci -D prints it".to_owned(),
                    false => format!("name one of these: {}", listed()),
                };
                Failure::new(format!("there is no PCI device {address}"), mend)
            })
        }
        (None, [only]) => Ok((*only).clone()),
        (None, []) => Err(Failure::new(
            format!(
                "there is no device {:04x}:{:04x}",
                ids::VENDOR_ID,
                ids::DEVICE_ID
            ),
            "give the virtual machine a virtual GPU, or name one with other ids by --device",
        )),
        (None, _) => Err(Failure::new(
            "there is more than one virtual GPU",
            format!("name one by --device: {}", listed()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_ids_or_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let add = |address: &str, device: &str| {
            let path = folder.path().join(address);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("vendor"), "0x1af4\n").unwrap();
            fs::write(path.join("device"), device).unwrap();
        };
        let found = |address| {
            find(folder.path(), address)
                .map(|path| name(&path))
                .map_err(|it| (it.cause, it.mend))
        };
        let cause = |address| found(address).unwrap_err().0;
        add("0000:00:03.0", "0x1000\n");
        assert_eq!(cause(None), "there is no device 1af4:1111");
        add("0000:00:04.0", "0x1111\n");
        assert_eq!(found(None).unwrap(), "0000:00:04.0");
        add("0000:00:05.0", "0x1111\n");
        assert_eq!(
            found(None).unwrap_err().1,
            "name one by --device: 0000:00:04.0, 0000:00:05.0"
        );
        assert_eq!(found(Some("0000:00:03.0")).unwrap(), "0000:00:03.0");
        assert_eq!(cause(Some("../x")), "there is no PCI device ../x");
    }
}
