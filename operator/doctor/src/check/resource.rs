//! A BAR as the kernel sees it: a line of the sysfs file `resource`.

use std::fmt;

/// Flags of include/linux/ioport.h.
const MEMORY: u64 = 0x0000_0200;
const PREFETCHABLE: u64 = 0x0000_2000;
const MEMORY_64: u64 = 0x0010_0000;
const DISABLED: u64 = 0x1000_0000;
const UNSET: u64 = 0x2000_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// First address.
    pub(crate) start: u64,
    /// Last address, inclusive.
    pub(crate) end: u64,
    flags: u64,
}

impl Resource {
    /// Parses start, end and flags, each in hexadecimal after 0x.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|number| {
            let digits = number.strip_prefix("0x")?;
            u64::from_str_radix(digits, 16).ok()
        });
        Some(Self {
            start: numbers.next()??,
            end: numbers.next()??,
            flags: numbers.next()??,
        })
    }

    /// Size in bytes; 0 where the function has no such BAR.
    pub(crate) fn size(&self) -> u64 {
        match (self.start, self.end) {
            (0, 0) => 0,
            (start, end) => end.wrapping_sub(start).wrapping_add(1),
        }
    }

    /// Tells whether it is 32-bit, non-prefetchable memory.
    pub(crate) fn is_plain_memory(&self) -> bool {
        self.flags & (MEMORY | PREFETCHABLE | MEMORY_64) == MEMORY
    }

    /// Tells whether the kernel gave it an address.
    pub(crate) fn is_assigned(&self) -> bool {
        self.start != 0 && self.flags & (DISABLED | UNSET) == 0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, flags } = self;
        write!(f, "{start:#010x}..{end:#010x} flags {flags:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_line_of_the_kernel() {
        let line = "0x00000000febf1000 0x00000000febf1fff 0x0000000000040200";
        let resource = Resource::parse(line).unwrap();
        assert_eq!(resource.size(), 0x1000);
        assert!(resource.is_plain_memory() && resource.is_assigned());
    }

    #[test]
    fn tells_kinds_apart() {
        let flags = |flags| Resource {
            start: 0x1000,
            end: 0x1fff,
            flags,
        };
        assert!(!flags(0x0101).is_plain_memory(), "I/O ports");
        assert!(!flags(0x2208).is_plain_memory(), "prefetchable");
        assert!(!flags(0x10_0204).is_plain_memory(), "64-bit");
        assert!(!flags(0x2000_0200).is_assigned(), "unset");
        assert!(!flags(0x1000_0200).is_assigned(), "disabled");
    }

    #[test]
    fn refuses_what_the_kernel_does_not_write() {
        for line in ["", "0x1 0x2", "1 2 3", "0x0 0x0 0xg"] {
            assert_eq!(Resource::parse(line), None, "{line:?}");
        }
    }
}
