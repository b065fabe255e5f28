//! Numbers as users type them.

use vgpu_pci::PciId;

/// A number without a sign: decimal, or hexadecimal after 0x.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => digits_of(digits, 16),
        None => digits_of(text, 10),
    }
}

/// The number of these digits; a sign is none.
#[must_use]
pub fn digits_of(digits: &str, radix: u32) -> Option<u64> {
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// The vendor or device id of these hexadecimal digits.
///
/// # Errors
///
/// What was expected.
pub fn id_of(digits: &str) -> Result<PciId, String> {
    let id = digits_of(digits, 16).and_then(|id| u16::try_from(id).ok());
    let id = id.ok_or("expected a hexadecimal number such as 0x1af4")?;
    PciId::try_from(id).map_err(|error| error.to_string())
}

/// A number of bytes, in the largest of the units M and K that it is whole in.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0 => bytes.to_string(),
        bytes if bytes % (1 << 20) == 0 => format!("{}M", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}K", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

/// The permissions of a socket: an octal number that lets the owner write.
///
/// # Errors
///
/// What was expected.
pub fn socket_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && mode & 0o200 != 0 && !text.starts_with('+') => Ok(mode),
        _ => Err("expected an octal number such as 0660 that lets the owner write".into()),
    }
}
