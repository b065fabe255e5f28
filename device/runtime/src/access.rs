//! One access of a guest, as the trace shows it.

use std::fmt;

/// What a guest did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ConfigRead,
    ConfigWrite,
    Bar0Read,
    Bar0Write,
    Reset,
}

/// An access and its value. Its text is that of QEMU's trace events for the
/// same device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where, in bytes.
    pub(crate) offset: u64,
    /// How much, in bytes.
    pub(crate) size: usize,
    /// The value read or written: its first 8 bytes, the lowest first.
    pub(crate) value: u64,
    /// Whether the device takes no such access.
    pub(crate) refused: bool,
}

impl Access {
    pub(crate) const RESET: Self = Self {
        kind: Kind::Reset,
        offset: 0,
        size: 0,
        value: 0,
        refused: false,
    };

    pub(crate) fn new(kind: Kind, offset: u64, data: &[u8], refused: bool) -> Self {
        Self {
            kind,
            offset,
            size: data.len(),
            value: value(data),
            refused,
        }
    }
}

/// The first 8 bytes of an access as a number, the lowest first.
#[must_use]
pub fn value(data: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(data) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            size,
            value,
            ..
        } = self;
        match self.kind {
            Kind::ConfigRead => write!(
                f,
                "config_read addr {offset:#05x} size {size} value {value:#x}"
            ),
            Kind::ConfigWrite => write!(
                f,
                "config_write addr {offset:#05x} size {size} value {value:#x}"
            ),
            Kind::Bar0Read => write!(
                f,
                "bar0_read offset {offset:#x} size {size} value {value:#x}"
            ),
            Kind::Bar0Write => write!(
                f,
                "bar0_write offset {offset:#x} size {size} value {value:#x}"
            ),
            Kind::Reset => f.write_str("reset"),
        }?;
        if self.refused {
            f.write_str(" refused")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_one_line_with_all_of_it() {
        let text = |kind, data: &[u8], refused| Access::new(kind, 0x10, data, refused).to_string();
        assert_eq!(
            text(Kind::ConfigWrite, &[1, 2], false),
            "config_write addr 0x010 size 2 value 0x201"
        );
        assert_eq!(
            text(Kind::Bar0Read, &[0; 3], true),
            "bar0_read offset 0x10 size 3 value 0x0 refused"
        );
        assert_eq!(
            text(Kind::Bar0Write, &[0xff; 9], true),
            "bar0_write offset 0x10 size 9 value 0xffffffffffffffff refused"
        );
        assert_eq!(Access::RESET.to_string(), "reset");
    }
}
