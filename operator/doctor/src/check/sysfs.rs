//! The PCI part of sysfs (Linux: Documentation/ABI/testing/sysfs-bus-pci).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{address::PciAddress, config::ConfigSpace, resource::Resource};

/// What the kernel shows where no driver override is set.
const NO_OVERRIDE: &str = "(null)";

/// The folder bus/pci.
pub(crate) struct Sysfs {
    bus: PathBuf,
    lockdown: PathBuf,
}

impl Sysfs {
    /// Takes the folder where sysfs is mounted.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let bus = root.join("bus/pci");
        let devices = bus.join("devices");
        if !devices.is_dir() {
            bail!("no folder {}", devices.display());
        }
        let lockdown = root.join("kernel/security/lockdown");
        Ok(Self { bus, lockdown })
    }

    /// Whether the kernel keeps registers of devices from root too, as it says
    /// where securityfs is mounted (kernel_lockdown(7)).
    pub(crate) fn is_locked_down(&self) -> bool {
        let levels = fs::read_to_string(&self.lockdown);
        levels.is_ok_and(|levels| levels.contains('[') && !levels.contains("[none]"))
    }

    /// Every function of every bus, by ascending address.
    pub(crate) fn functions(&self) -> Result<Vec<Function<'_>>> {
        let devices = self.bus.join("devices");
        let mut functions = Vec::new();
        for entry in fs::read_dir(&devices).with_context(|| cannot("list", &devices))? {
            let name = entry.with_context(|| cannot("list", &devices))?.file_name();
            if let Some(address) = name.to_str().and_then(|name| name.parse().ok()) {
                functions.push(Function {
                    sysfs: self,
                    path: devices.join(name),
                    address,
                });
            }
        }
        functions.sort_unstable_by(|a, b| a.address.cmp(&b.address));
        Ok(functions)
    }

    pub(crate) fn has_driver(&self, driver: &str) -> bool {
        self.driver(driver).is_dir()
    }

    /// Makes the kernel look for functions that it does not know.
    pub(crate) fn rescan(&self) -> Result<()> {
        write(&self.bus.join("rescan"), "1")
    }

    fn driver(&self, driver: &str) -> PathBuf {
        self.bus.join("drivers").join(driver)
    }
}

/// One PCI function. It may come and go: only a look tells whether it is
/// there.
pub(crate) struct Function<'a> {
    sysfs: &'a Sysfs,
    path: PathBuf,
    address: PciAddress,
}

impl Function<'_> {
    pub(crate) fn address(&self) -> &PciAddress {
        &self.address
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn sysfs(&self) -> &Sysfs {
        self.sysfs
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Takes the function off the bus, until a rescan.
    pub(crate) fn remove(&self) -> Result<()> {
        write(&self.attribute("remove"), "1")
    }

    /// An attribute that is a number in hexadecimal.
    pub(crate) fn hex(&self, attribute: &str) -> Result<u32> {
        let text = self.read(attribute)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16)
            .with_context(|| format!("{} is {text:?}", self.attribute(attribute).display()))
    }

    /// All bytes of config space.
    pub(crate) fn config(&self) -> Result<ConfigSpace> {
        let path = self.attribute("config");
        let bytes = fs::read(&path).with_context(|| cannot("read", &path))?;
        Ok(ConfigSpace::new(bytes))
    }

    /// Writes a 16-bit register of config space.
    pub(crate) fn write_config(&self, offset: u16, value: u16) -> Result<()> {
        let path = self.attribute("config");
        let file = open(&path, OpenOptions::new().write(true))?;
        file.write_all_at(&value.to_le_bytes(), offset.into())
            .with_context(|| cannot("write", &path))
    }

    /// The resource that the kernel gave to the BAR with this index.
    pub(crate) fn resource(&self, bar: usize) -> Result<Resource> {
        let text = self.read("resource")?;
        let line = text.lines().nth(bar);
        line.and_then(Resource::parse).with_context(|| {
            format!(
                "{} has {line:?} for BAR {bar}",
                self.attribute("resource").display()
            )
        })
    }

    /// The file that maps the memory of the BAR with this index.
    pub(crate) fn open_resource(&self, bar: usize) -> Result<File> {
        let path = self.attribute(&format!("resource{bar}"));
        open(&path, OpenOptions::new().read(true).write(true))
    }

    /// How many times the function was enabled.
    pub(crate) fn enable_count(&self) -> Result<u32> {
        let text = self.read("enable")?;
        text.parse()
            .with_context(|| format!("{} is {text:?}", self.attribute("enable").display()))
    }

    /// Enables the function once more, or takes one such back.
    pub(crate) fn enable(&self, on: bool) -> Result<()> {
        write(&self.attribute("enable"), if on { "1" } else { "0" })
    }

    /// The driver that the function is bound to.
    pub(crate) fn driver(&self) -> Result<Option<String>> {
        let path = self.attribute("driver");
        match fs::read_link(&path) {
            Ok(target) => Ok(target
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| cannot("read", &path)),
        }
    }

    /// Binds the function to this driver, or to none.
    pub(crate) fn set_driver(&self, wanted: Option<&str>) -> Result<()> {
        let current = self.driver()?;
        if current.as_deref() == wanted {
            return Ok(());
        }
        if let Some(driver) = current {
            write(
                &self.sysfs.driver(&driver).join("unbind"),
                &self.address.to_string(),
            )?;
        }
        if let Some(driver) = wanted {
            write(
                &self.sysfs.driver(driver).join("bind"),
                &self.address.to_string(),
            )?;
        }
        let current = self.driver()?;
        if current.as_deref() != wanted {
            bail!(
                "the driver of {} is {}, not {}",
                self.address,
                or_none(current.as_deref()),
                or_none(wanted)
            );
        }
        Ok(())
    }

    /// The one driver that may bind to the function, where it is set.
    pub(crate) fn driver_override(&self) -> Result<Option<String>> {
        let driver = self.read("driver_override")?;
        Ok((driver != NO_OVERRIDE).then_some(driver))
    }

    pub(crate) fn set_driver_override(&self, driver: Option<&str>) -> Result<()> {
        if self.driver_override()?.as_deref() == driver {
            return Ok(());
        }
        // A line without a name clears it.
        write(&self.attribute("driver_override"), driver.unwrap_or("\n"))
    }

    /// Lets the kernel look for a driver, as it does when it finds a function.
    pub(crate) fn probe_driver(&self) -> Result<()> {
        write(
            &self.sysfs.bus.join("drivers_probe"),
            &self.address.to_string(),
        )
    }

    fn attribute(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&self, attribute: &str) -> Result<String> {
        let path = self.attribute(attribute);
        let mut text = String::new();
        open(&path, OpenOptions::new().read(true))?
            .read_to_string(&mut text)
            .with_context(|| cannot("read", &path))?;
        Ok(text.trim_end().to_owned())
    }
}

/// Names a driver in a message.
pub(crate) fn or_none(driver: Option<&str>) -> &str {
    driver.unwrap_or("none")
}

fn open(path: &Path, options: &OpenOptions) -> Result<File> {
    options.open(path).with_context(|| cannot("open", path))
}

fn write(path: &Path, value: &str) -> Result<()> {
    // One write, and no truncation: each write is a command to the kernel.
    open(path, OpenOptions::new().write(true))?
        .write_all(value.as_bytes())
        .with_context(|| format!("cannot write {:?} to {}", value.trim_end(), path.display()))
}

fn cannot(verb: &str, path: &Path) -> String {
    format!("cannot {verb} {}", path.display())
}
