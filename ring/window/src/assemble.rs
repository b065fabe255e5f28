//! One window made of pieces of files: a guest's memory, as it lies in its machine's.

use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::fs::{fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::piece::Piece;
use crate::{Error, Window};

/// Bytes of a page.
const PAGE: u64 = 4096;

impl Window {
    /// Maps pieces of memory files side by side, `length` bytes together. Pieces may be the same memory. The files can be
    /// closed then.
    ///
    /// The files need not be sealed, as a machine's memory is not. Who cuts one off has this process raise `SIGBUS` as it
    /// reaches there, which ends it: it is to serve nobody but who gave the files. The pieces of a file of huge pages have
    /// to lie on these, in the file and in the window.
    ///
    /// # Errors
    /// A file is none that lies in memory alone; a piece is not of whole pages, or not in its file; the pieces are not
    /// `length` bytes together; the system has no room, or no such access to a file. Nothing is mapped then.
    pub fn assemble(files: &[impl AsFd], pieces: &[Piece], length: u64) -> Result<Self, Error> {
        check(files, pieces, length)?;
        let len = usize::try_from(length).map_err(|_| Errno::NOMEM)?;
        let mut range = Range::reserve(len)?;
        for piece in pieces {
            range.map(&files[piece.file], piece)?;
        }
        Ok(range.into_window())
    }
}

/// Whether it can be mapped, as far as the files say.
fn check(files: &[impl AsFd], pieces: &[Piece], length: u64) -> Result<(), Error> {
    let mut sizes = Vec::with_capacity(files.len());
    for (place, file) in files.iter().enumerate() {
        // Memory files alone have seals. It is asked first, as the other questions may wait for whoever keeps the file.
        fcntl_get_seals(file).map_err(|_| Error::NotMemory { file: place })?;
        sizes.push(fstat(file)?.st_size.cast_unsigned());
    }
    let mut sum = 0_u64;
    for (place, piece) in pieces.iter().enumerate() {
        let whole = piece.length != 0
            && piece.length.is_multiple_of(PAGE)
            && piece.offset.is_multiple_of(PAGE);
        let end = piece.offset.checked_add(piece.length);
        let size = sizes.get(piece.file);
        let inside = end.zip(size).is_some_and(|(end, &size)| end <= size);
        if !whole || !inside {
            return Err(Error::Piece { piece: place });
        }
        sum = sum
            .checked_add(piece.length)
            .ok_or(Error::Length { wanted: length })?;
    }
    if sum == length && sum != 0 {
        Ok(())
    } else {
        Err(Error::Length { wanted: length })
    }
}

/// A range of addresses that nothing else in this process has, mapped from its start up to `mapped`.
struct Range {
    base: NonNull<u8>,
    len: usize,
    mapped: usize,
    /// Bytes behind `mapped` whose mapping failed. The system may have given their addresses back, and they may be another
    /// thread's by now: they are left alone.
    failed: usize,
}

impl Range {
    #[allow(unsafe_code)]
    fn reserve(len: usize) -> Result<Self, Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the system chooses a free place.
        let base = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags)
        }?;
        Ok(Self {
            base: NonNull::new(base.cast()).ok_or(Errno::NOMEM)?,
            len,
            mapped: 0,
            failed: 0,
        })
    }

    /// Maps a piece behind the others. Together they are no longer than the range: see [`check`].
    #[allow(unsafe_code)]
    fn map(&mut self, file: &impl AsFd, piece: &Piece) -> Result<(), Errno> {
        let len = usize::try_from(piece.length).map_err(|_| Errno::NOMEM)?;
        if self.len - self.mapped < len {
            return Err(Errno::NOMEM);
        }
        // SAFETY: `mapped` is within the range.
        let place = unsafe { self.base.add(self.mapped) };
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: these `len` bytes are in the range, reserved, and nothing refers to them.
        let done = unsafe {
            rustix::mm::mmap(
                place.as_ptr().cast(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
                file,
                piece.offset,
            )
        };
        match done {
            Ok(_) => self.mapped += len,
            Err(_) => self.failed = len,
        }
        done.map(|_| ())
    }

    #[allow(unsafe_code)]
    fn into_window(self) -> Window {
        debug_assert_eq!(self.mapped, self.len);
        let range = std::mem::ManuallyDrop::new(self);
        // SAFETY: the pieces are as long as the range, so all of it is mapped; it is page-aligned, and given up here.
        unsafe { Window::of(range.base.cast(), range.len) }
    }
}

impl Drop for Range {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let behind = self.mapped + self.failed;
        for (from, len) in [(0, self.mapped), (behind, self.len - behind)] {
            if len != 0 {
                // SAFETY: `from` is within the range.
                let place = unsafe { self.base.add(from) };
                // SAFETY: this part is mapped or reserved by this range, and nothing refers to it.
                let _ = unsafe { rustix::mm::munmap(place.as_ptr().cast(), len) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::Ordering;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use vgpu_ring::Memory;

    use super::*;

    fn file(name: &str, pages: u64) -> OwnedFd {
        let file = memfd_create(name, MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, pages * PAGE).unwrap();
        file
    }

    const fn piece(file: usize, page: u64, pages: u64) -> Piece {
        Piece {
            file,
            offset: page * PAGE,
            length: pages * PAGE,
        }
    }

    fn mapped(name: &str) -> usize {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains(name)).count()
    }

    #[test]
    fn pieces_lie_side_by_side() {
        let files = [file("pieces-a", 8), file("pieces-b", 4)];
        let pieces = [piece(0, 7, 1), piece(1, 0, 2), piece(0, 2, 3)];
        let window = Window::assemble(&files, &pieces, 6 * PAGE).unwrap();
        assert_eq!(window.size(), 6 * 4096);
        // Across the edge of the first and the second, and of the second and the third.
        assert!(window.write(4096 - 4, b"firsthalf"));
        assert!(window.write(3 * 4096 - 3, b"andthird"));
        let whole =
            |file: &OwnedFd, pages| Window::assemble(&[file], &[piece(0, 0, pages)], pages * PAGE);
        let (a, b) = (whole(&files[0], 8).unwrap(), whole(&files[1], 4).unwrap());
        let read = |window: &Window, at, len| {
            let mut bytes = vec![0; len];
            assert!(window.read(at, &mut bytes));
            bytes
        };
        assert_eq!(read(&a, 8 * 4096 - 4, 4), b"firs");
        assert_eq!(read(&b, 0, 5), b"thalf");
        assert_eq!(read(&b, 2 * 4096 - 3, 3), b"and");
        assert_eq!(read(&a, 2 * 4096, 5), b"third");
        assert_eq!(read(&window, 3 * 4096 - 3, 8), b"andthird");
        a.words()[2 * 512].store(7, Ordering::Relaxed);
        assert_eq!(window.words()[3 * 512].load(Ordering::Relaxed), 7);
        assert!(!window.write(6 * 4096 - 1, b"xy"), "past the end");
        // The files are not needed any more; the last clone unmaps.
        drop((files, a, b));
        let clone = window.clone();
        let window = window.unmap().unwrap_err();
        drop(clone);
        assert_eq!(read(&window, 4096 - 4, 4), b"firs");
        assert_eq!(mapped("pieces-a"), 2);
        window.unmap().unwrap();
        assert_eq!(mapped("pieces-"), 0);
    }

    #[test]
    fn odd_pieces_are_refused_and_leave_nothing() {
        let files = [file("odd-a", 4), file("odd-b", 1)];
        let odd = |offset, length| Piece {
            file: 0,
            offset,
            length,
        };
        for (pieces, length, wrong) in [
            (vec![], 0, None),
            (vec![], PAGE, None),
            (vec![piece(0, 0, 1)], 2 * PAGE, None),
            (vec![piece(0, 0, 2)], PAGE, None),
            (vec![piece(0, 0, 1), piece(1, 0, 2)], 3 * PAGE, Some(1)),
            (vec![piece(0, 0, 1), piece(2, 0, 1)], 2 * PAGE, Some(1)),
            (vec![piece(usize::MAX, 0, 1)], PAGE, Some(0)),
            (vec![piece(0, 4, 1)], PAGE, Some(0)),
            (vec![piece(0, 0, 5)], 5 * PAGE, Some(0)),
            (vec![piece(0, 0, 0)], 0, Some(0)),
            (vec![odd(512, PAGE)], PAGE, Some(0)),
            (vec![odd(0, 100)], 100, Some(0)),
            (vec![odd(!0 - PAGE + 1, PAGE)], PAGE, Some(0)),
            (vec![odd(!0 - 4 * PAGE + 1, 2 * PAGE)], 2 * PAGE, Some(0)),
        ] {
            let error = Window::assemble(&files, &pieces, length).unwrap_err();
            let found = match error {
                Error::Piece { piece } => Some(piece),
                Error::Length { wanted } if wanted == length => None,
                error => panic!("{pieces:?}: {error}"),
            };
            assert_eq!(found, wrong, "{pieces:?} {length}");
        }
        assert_eq!(mapped("odd-"), 0);
    }

    /// The second file cannot be written to: the first piece is there by then.
    #[test]
    fn what_the_system_refuses_half_way_leaves_nothing() {
        let whole = file("half-a", 2);
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&whole));
        let to_read: OwnedFd = fs::File::open(path).unwrap().into();
        let pieces = [piece(0, 0, 1), piece(1, 1, 1), piece(0, 0, 2)];
        let refused = Window::assemble(&[&whole, &to_read], &pieces, 4 * PAGE);
        assert!(
            matches!(refused, Err(Error::System(Errno::ACCESS))),
            "{refused:?}"
        );
        assert_eq!(mapped("half-"), 0);
        let addresses = 1 << 62;
        ftruncate(&whole, addresses).unwrap();
        let piece = piece(0, 0, addresses / PAGE);
        let refused = Window::assemble(&[&whole], &[piece], addresses);
        assert!(
            matches!(refused, Err(Error::System(Errno::NOMEM))),
            "{refused:?}"
        );
    }

    #[test]
    fn files_that_do_not_lie_in_memory_are_refused() {
        let folder = std::env::temp_dir();
        let (pipe, _other) = std::io::pipe().unwrap();
        let null = fs::File::open("/dev/null").unwrap();
        let folder = fs::File::open(folder).unwrap();
        for other in [OwnedFd::from(pipe), null.into(), folder.into()] {
            let files = [file("real", 1), other];
            let refused = Window::assemble(&files, &[piece(0, 0, 1)], PAGE);
            assert!(
                matches!(refused, Err(Error::NotMemory { file: 1 })),
                "{refused:?}"
            );
        }
    }
}
