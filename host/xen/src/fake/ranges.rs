//! The addresses of one kind whose accesses Xen sends to a server.

use rustix::io::Errno;

/// `MAX_NR_IO_RANGES` of Xen's `xen/include/asm-x86/hvm/domain.h`.
const MOST: usize = 256;

/// A set of addresses, as Xen's `common/rangeset.c` has it: not of the ranges that were put into it. Ranges that meet become
/// one, and a part can be taken out of the middle of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The set of these ranges.
    pub(crate) fn of(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            set.insert(first, last);
        }
        set
    }

    /// The addresses as ranges, in order: each with its last address.
    pub(crate) fn as_slice(&self) -> &[(u64, u64)] {
        &self.0
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        self.0.iter().any(|own| (own.0..=own.1).contains(&address))
    }

    /// `hvm_map_io_range_to_ioreq_server`.
    pub(crate) fn map(&mut self, first: u64, last: u64) -> Result<(), Errno> {
        if self.0.iter().any(|own| own.0 <= last && first <= own.1) {
            return Err(Errno::EXIST);
        }
        if self.0.len() == MOST {
            return Err(Errno::NOSPC);
        }
        self.insert(first, last);
        Ok(())
    }

    /// `hvm_unmap_io_range_from_ioreq_server`.
    pub(crate) fn unmap(&mut self, first: u64, last: u64) -> Result<(), Errno> {
        let around = self
            .0
            .iter()
            .position(|own| own.0 <= first && last <= own.1);
        let (start, end) = self.0.remove(around.ok_or(Errno::NOENT)?);
        if start < first {
            self.0.push((start, first - 1));
        }
        if last < end {
            self.0.push((last + 1, end));
        }
        self.0.sort_unstable();
        Ok(())
    }

    fn insert(&mut self, first: u64, last: u64) {
        let meets =
            |own: &(u64, u64)| own.0 <= last.saturating_add(1) && first <= own.1.saturating_add(1);
        let all = self.0.extract_if(.., |own| meets(own));
        let whole = all.fold((first, last), |whole, own| {
            (whole.0.min(own.0), whole.1.max(own.1))
        });
        self.0.push(whole);
        self.0.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_set_of_addresses() {
        let mut set = Ranges::default();
        set.map(0x1000, 0x1fff).unwrap();
        assert_eq!(set.map(0x1fff, 0x2fff), Err(Errno::EXIST));
        assert_eq!(set.map(0, u64::MAX), Err(Errno::EXIST));
        set.map(0x2000, 0x2fff).unwrap();
        assert_eq!(set.as_slice(), [(0x1000, 0x2fff)]);
        // A part, in the middle of what were two.
        set.unmap(0x1800, 0x27ff).unwrap();
        assert_eq!(set.as_slice(), [(0x1000, 0x17ff), (0x2800, 0x2fff)]);
        for (first, last) in [(0x1000, 0x2fff), (0x1800, 0x1800), (0x17ff, 0x1800)] {
            assert_eq!(set.unmap(first, last), Err(Errno::NOENT));
        }
        set.map(0x1800, 0x27ff).unwrap();
        set.unmap(0x1000, 0x2fff).unwrap();
        assert_eq!(set, Ranges::default());
    }

    #[test]
    fn it_has_no_more_ranges_than_xen_lets() {
        let mut set = Ranges::default();
        for at in 0..MOST as u64 {
            set.map(2 * at, 2 * at).unwrap();
        }
        assert_eq!(set.map(u64::MAX, u64::MAX), Err(Errno::NOSPC));
    }
}
