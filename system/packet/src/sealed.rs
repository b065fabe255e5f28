//! A memory file that holds what is too long for a message, and that nobody changes any more.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::{Errno, pread, pwrite};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// All that keeps a file as it is.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE)
    .union(SealFlags::SEAL);

/// A file with these values, as their bytes follow each other.
///
/// # Errors
/// The system refuses.
pub fn write<T: IntoBytes + Immutable>(values: &[T]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(c"vgpu-list", flags)?;
    let bytes = values.as_bytes();
    let mut written = 0;
    while written < bytes.len() {
        written += pwrite(&file, &bytes[written..], written as u64)?;
    }
    fcntl_add_seals(&file, SEALS)?;
    Ok(file)
}

/// The `count` values of a file, copied. The caller bounds the count.
///
/// # Errors
/// `EPERM`: it is no memory file, or is not sealed as [`write()`] seals it. `EINVAL`: it holds not exactly so many. Or the
/// system refuses.
pub fn read<T: FromBytes + IntoBytes + Clone>(
    file: impl AsFd,
    count: usize,
) -> Result<Vec<T>, Errno> {
    // Memory files alone have seals. It is asked first: with other files, the questions that follow may wait for whoever
    // keeps them.
    let seals = fcntl_get_seals(&file).map_err(|_| Errno::PERM)?;
    if !seals.contains(SEALS) {
        return Err(Errno::PERM);
    }
    let size = count.checked_mul(size_of::<T>()).ok_or(Errno::INVAL)?;
    if u64::try_from(fstat(&file)?.st_size).ok() != u64::try_from(size).ok() {
        return Err(Errno::INVAL);
    }
    let mut values = vec![T::new_zeroed(); count];
    let read = pread(&file, values.as_mut_slice().as_mut_bytes(), 0)?;
    if read == size {
        Ok(values)
    } else {
        Err(Errno::IO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let values: Vec<u64> = (0..16_384 * 3).collect();
        let file = write(&values).unwrap();
        assert_eq!(read::<u64>(&file, values.len()), Ok(values));
        assert_eq!(pwrite(&file, b"x", 0), Err(Errno::PERM));
        assert_eq!(read::<u64>(write::<u64>(&[]).unwrap(), 0), Ok(vec![]));
    }

    #[test]
    fn a_file_that_may_change_or_is_none_of_memory_is_refused() {
        for missing in [
            SealFlags::SHRINK,
            SealFlags::GROW,
            SealFlags::WRITE,
            SealFlags::SEAL,
        ] {
            let file = memfd_create(c"test", MemfdFlags::ALLOW_SEALING).unwrap();
            pwrite(&file, &[0; 8], 0).unwrap();
            fcntl_add_seals(&file, SEALS.difference(missing)).unwrap();
            assert_eq!(read::<u64>(&file, 1), Err(Errno::PERM), "{missing:?}");
        }
        let (pipe, _other) = std::io::pipe().unwrap();
        assert_eq!(read::<u64>(&pipe, 1), Err(Errno::PERM));
        let file = write(&[1_u64, 2]).unwrap();
        for count in [0, 1, 3, usize::MAX / 8, usize::MAX] {
            assert_eq!(read::<u64>(&file, count), Err(Errno::INVAL), "{count}");
        }
    }
}
