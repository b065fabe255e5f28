//! BAR0 as registers of 32 bits.

use std::sync::atomic::Ordering;

use vgpu_bar::MappedBar;

/// What has the registers of [`vgpu_abi::bar0`].
pub trait Registers {
    /// Reads the register at an offset; all ones where there is none, or no device any more.
    fn read(&self, offset: u64) -> u32;

    /// Writes to the register at an offset; nothing where there is none.
    fn write(&self, offset: u64, value: u32);

    /// Reads two registers in a row as one number, the low half first.
    fn read_long(&self, offset: u64) -> u64 {
        u64::from(self.read(offset)) | u64::from(self.read(offset + 4)) << 32
    }
}

impl<R: Registers + ?Sized> Registers for &R {
    fn read(&self, offset: u64) -> u32 {
        (**self).read(offset)
    }

    fn write(&self, offset: u64, value: u32) {
        (**self).write(offset, value);
    }
}

impl Registers for MappedBar {
    fn read(&self, offset: u64) -> u32 {
        let register = self.register(offset as usize);
        register.map_or(u32::MAX, |it| it.load(Ordering::Relaxed))
    }

    fn write(&self, offset: u64, value: u32) {
        if let Ok(register) = self.register(offset as usize) {
            register.store(value, Ordering::Relaxed);
        }
    }
}
