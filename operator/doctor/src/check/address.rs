//! PCI address of a function, as Linux writes it.

use std::{fmt, str::FromStr};

use serde::Serialize;
use vgpu_pci::Slot;

/// Domain, bus, slot and function, such as 0000:00:05.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct PciAddress(String);

impl FromStr for PciAddress {
    type Err = String;

    /// Takes an address with or without its domain; without it is domain 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_lowercase();
        let full = match text.matches(':').count() {
            1 => format!("0000:{text}"),
            _ => text,
        };
        if is_address(&full) {
            Ok(Self(full))
        } else {
            Err("expected an address such as 0000:00:05.0 or 00:05.0".into())
        }
    }
}

/// Tells whether `text` is an address with its domain, which has four digits
/// or more.
fn is_address(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (Some(domain), Some(bus), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some((slot, function)) = rest.split_once('.') else {
        return false;
    };
    domain.len() >= 4
        && bus.len() == 2
        && slot.len() == 2
        && [domain, bus, slot].iter().all(|part| is_hex(part))
        && u8::from_str_radix(slot, 16).is_ok_and(|slot| Slot::try_from(slot).is_ok())
        && matches!(function.as_bytes(), [b'0'..=b'7'])
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_address_with_and_without_domain() {
        for (text, address) in [
            ("0000:00:05.0", "0000:00:05.0"),
            ("00:1F.7", "0000:00:1f.7"),
            ("10000:e1:00.0", "10000:e1:00.0"),
        ] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), address);
        }
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "",
            "5",
            "00:05",
            "00:05.8",
            "00:05.00",
            "00:20.0",
            "000:00:05.0",
            "0000:00:g5.0",
            "0000:g0:05.0",
            "0000:00:05.0/..",
            "../../00:05.0",
            "0000:0:05.0",
            "0:0:0:05.0",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
    }
}
