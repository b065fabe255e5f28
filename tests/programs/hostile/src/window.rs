//! Memory of a device, mapped, and every kind of access that a guest's
//! processor makes to it.
#![allow(unsafe_code)] // mapping memory, and instructions that no language has

use std::arch::asm;
use std::fs::File;
use std::io;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Elements of a string instruction, at most.
pub(crate) const MOST: usize = 64;

/// A device's memory. Whatever lies there when it is accessed answers.
#[derive(Debug)]
pub(crate) struct Window {
    start: *mut u8,
    size: usize,
    writable: bool,
}

// SAFETY: any thread may use a mapping; what two of them do to a device at
// once is the device's problem.
unsafe impl Send for Window {}
// SAFETY: as above; no Rust reference into the mapping is ever made.
unsafe impl Sync for Window {}

impl Window {
    /// Maps `size` bytes of a file of memory from `offset` on.
    pub(crate) fn map(file: &File, offset: u64, size: usize, writable: bool) -> io::Result<Self> {
        let write = match writable {
            true => ProtFlags::WRITE,
            false => ProtFlags::empty(),
        };
        let access = ProtFlags::READ | write;
        // SAFETY: the kernel chooses an address that nothing else uses.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                size,
                access,
                MapFlags::SHARED,
                file,
                offset,
            )?
        };
        Ok(Self {
            start: start.cast(),
            size,
            writable,
        })
    }

    /// Bytes of it.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether it may be written to.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// The address of `offset`, if `length` bytes from there are mapped, and
    /// for writing if they have to be.
    fn at(&self, offset: usize, length: usize, write: bool) -> Option<*mut u8> {
        let end = offset.checked_add(length)?;
        (end <= self.size && (self.writable || !write)).then(|| self.start.wrapping_add(offset))
    }

    /// One load of 1, 2, 4, 8 or 16 bytes.
    pub(crate) fn load(&self, offset: usize, size: usize) {
        match size {
            1 => self.load8(offset),
            2 => self.load16(offset),
            4 => self.load32(offset),
            8 => self.load64(offset),
            _ => self.load128(offset),
        }
    }

    /// The value of a register of 32 bits, if it is in the window and aligned.
    pub(crate) fn read(&self, offset: usize) -> Option<u32> {
        let at = self.at(offset, 4, false)?.cast::<u32>();
        // SAFETY: at() has looked that it is mapped, and any bits are a u32.
        at.is_aligned().then(|| unsafe { at.read_volatile() })
    }

    /// One store of 1, 2, 4, 8 or 16 bytes.
    pub(crate) fn store(&self, offset: usize, size: usize, value: u64) {
        match size {
            1 => self.store8(offset, value as u8),
            2 => self.store16(offset, value as u16),
            4 => self.store32(offset, value as u32),
            8 => self.store64(offset, value),
            _ => self.store128(offset),
        }
    }

    /// One locked addition to 1, 2, 4 or 8 bytes.
    pub(crate) fn add(&self, offset: usize, size: usize, value: u64) {
        match size {
            1 => self.add8(offset, value as u8),
            2 => self.add16(offset, value as u16),
            4 => self.add32(offset, value as u32),
            _ => self.add64(offset, value),
        }
    }

    /// A string instruction that reads or writes up to [`MOST`] elements of 1,
    /// 2, 4 or 8 bytes, in either direction.
    pub(crate) fn string(
        &self,
        offset: usize,
        (size, count): (usize, usize),
        backwards: bool,
        write: bool,
    ) {
        match size {
            1 => self.string8(offset, count, backwards, write),
            2 => self.string16(offset, count, backwards, write),
            4 => self.string32(offset, count, backwards, write),
            _ => self.string64(offset, count, backwards, write),
        }
    }

    fn load128(&self, offset: usize) {
        if let Some(at) = self.at(offset, 16, false) {
            // SAFETY: as for the other loads.
            unsafe {
                asm!("movups {}, [{}]", out(xmm_reg) _, in(reg) at,
                    options(nostack, preserves_flags));
            }
        }
    }

    /// All 0.
    fn store128(&self, offset: usize) {
        if let Some(at) = self.at(offset, 16, true) {
            // SAFETY: as for the other stores.
            unsafe {
                asm!("xorps {0}, {0}", "movups [{1}], {0}", out(xmm_reg) _, in(reg) at,
                    options(nostack, preserves_flags));
            }
        }
    }
}

/// `$load`, `$store`, `$add` and `$string` for one operand size, each at any
/// alignment. What is not all in the window is not done.
macro_rules! accesses {
    ($type:ty, $register:tt, $movs:literal, $load:ident, $store:ident, $add:ident, $string:ident) => {
        impl Window {
            /// One load.
            fn $load(&self, offset: usize) {
                if let Some(at) = self.at(offset, size_of::<$type>(), false) {
                    // SAFETY: at() has looked that it is mapped; what is
                    // loaded, nobody uses.
                    unsafe {
                        asm!(concat!("mov ", $register, ", [{}]"), in(reg) at,
                            out($register) _, options(nostack, preserves_flags));
                    }
                }
            }

            /// One store.
            fn $store(&self, offset: usize, value: $type) {
                if let Some(at) = self.at(offset, size_of::<$type>(), true) {
                    // SAFETY: at() has looked that it is mapped for writing;
                    // it is no memory of Rust's.
                    unsafe {
                        asm!(concat!("mov [{}], ", $register), in(reg) at,
                            in($register) value, options(nostack, preserves_flags));
                    }
                }
            }

            /// One locked read, modify and write.
            fn $add(&self, offset: usize, value: $type) {
                if let Some(at) = self.at(offset, size_of::<$type>(), true) {
                    // SAFETY: as for a store.
                    unsafe {
                        asm!(concat!("lock xadd [{}], ", $register), in(reg) at,
                            inout($register) value => _, options(nostack));
                    }
                }
            }

            /// A string instruction, from the first element up or from the
            /// last one down.
            fn $string(&self, offset: usize, count: usize, backwards: bool, write: bool) {
                let mut memory: [$type; MOST] = [0; MOST];
                let count = count.clamp(1, MOST);
                let Some(at) = self.at(offset, count * size_of::<$type>(), write) else {
                    return;
                };
                let (at, memory) = (at.cast::<$type>(), memory.as_mut_ptr());
                let last = if backwards { count - 1 } else { 0 };
                let (at, memory) = (at.wrapping_add(last), memory.wrapping_add(last));
                let (to, from) = if write { (at, memory) } else { (memory, at) };
                // SAFETY: at() has looked that the window is mapped for all of
                // it, and the memory has as many elements. The direction is
                // afterwards as the ABI wants it.
                unsafe {
                    asm!("test {0:l}, {0:l}", "jz 2f", "std", "2:", concat!("rep movs", $movs), "cld",
                        in(reg) usize::from(backwards), inout("rcx") count => _,
                        inout("rsi") from => _, inout("rdi") to => _, options(nostack));
                }
            }
        }
    };
}
accesses!(u8, "al", "b", load8, store8, add8, string8);
accesses!(u16, "ax", "w", load16, store16, add16, string16);
accesses!(u32, "eax", "d", load32, store32, add32, string32);
accesses!(u64, "rax", "q", load64, store64, add64, string64);

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: map() got exactly this, and nothing points there any more.
        let _ = unsafe { munmap(self.start.cast(), self.size) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    const SIZE: usize = 4096;

    /// A window on a file, and the file.
    fn window(writable: bool) -> (Window, File) {
        let file = File::from(memfd_create("window", MemfdFlags::CLOEXEC).unwrap());
        file.write_all_at(&[0xff; SIZE], 0).unwrap();
        (Window::map(&file, 0, SIZE, writable).unwrap(), file)
    }

    /// Which bytes of the file have been written to.
    fn written(file: &File) -> Vec<usize> {
        let mut bytes = [0; SIZE];
        file.read_exact_at(&mut bytes, 0).unwrap();
        (0..SIZE).filter(|at| bytes[*at] != 0xff).collect()
    }

    #[test]
    fn an_access_touches_what_it_says() {
        for size in [1, 2, 4, 8, 16] {
            let (window, file) = window(true);
            window.load(3, size);
            window.store(3, size, 0);
            assert_eq!(written(&file), (3..3 + size).collect::<Vec<_>>(), "{size}");
        }
        for size in [1, 2, 4, 8] {
            let (window, file) = window(true);
            window.add(5, size, 1);
            assert_eq!(written(&file), (5..5 + size).collect::<Vec<_>>(), "{size}");
            for (at, backwards) in [(100, false), (2000, true)] {
                window.string(at, (size, MOST), backwards, false);
                window.string(at, (size, MOST), backwards, true);
            }
            let expected = (5..5 + size)
                .chain(100..100 + size * MOST)
                .chain(2000..2000 + size * MOST);
            assert_eq!(written(&file), expected.collect::<Vec<_>>(), "{size}");
        }
    }

    #[test]
    fn nothing_outside_and_nothing_read_only_is_touched() {
        for (writable, offset) in [(true, SIZE - 1), (true, usize::MAX), (false, 0)] {
            let (window, file) = window(writable);
            for size in [2, 4, 8, 16] {
                window.load(offset, size);
                window.store(offset, size, 0);
                window.add(offset, size, 1);
                window.string(offset, (size, MOST), true, true);
            }
            assert_eq!(written(&file), [0; 0], "{writable} {offset}");
        }
    }
}
