//! Numbers as users type them.

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
