//! Where a device is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// domain:bus:device.function, all hexadecimal. The config ports reach domain
/// 0 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub(super) bus: u8,
    pub(super) device: u8,
    pub(super) function: u8,
}

impl Address {
    /// Another function of the same device.
    #[must_use]
    pub fn with_function(self, function: u8) -> Self {
        Self {
            function: function & 7,
            ..self
        }
    }

    /// Its device number on its bus, 0 to 31.
    #[must_use]
    pub fn device(self) -> u8 {
        self.device
    }

    /// Where Linux has its files.
    #[must_use]
    pub fn sysfs(self) -> PathBuf {
        PathBuf::from(format!("/sys/bus/pci/devices/{self}"))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (bus, rest) = text.strip_prefix("0000:")?.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            Some(Self {
                bus: u8::from_str_radix(bus, 16).ok()?,
                device: u8::from_str_radix(device, 16).ok().filter(|d| *d < 32)?,
                function: u8::from_str_radix(function, 16).ok().filter(|f| *f < 8)?,
            })
        };
        parse().ok_or_else(|| "not an address such as 0000:00:05.0".to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bus,
            device,
            function,
        } = self;
        write!(f, "0000:{bus:02x}:{device:02x}.{function:x}")
    }
}
