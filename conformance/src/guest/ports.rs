//! Configuration mechanism #1: an address at port 0xCF8, data at 0xCFC
//! (PCI 3.0 section 3.2.2.3.2).
#![allow(unsafe_code)] // port instructions and the permission to use them

use std::arch::asm;
use std::io;
use std::marker::PhantomData;

use super::Address;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// Up to the last byte of a dword that begins at the last byte of the data.
const PORTS: u16 = DATA + 3 + 4 - ADDRESS;
const ENABLE: u32 = 1 << 31;

/// The config space of one function. It stays on the thread that opened it,
/// as the kernel grants ports to a thread.
#[derive(Debug)]
pub struct ConfigPorts {
    /// Address register for offset 0.
    function: u32,
    stays_on_thread: PhantomData<*const ()>,
}

/// `$write` and `$read` for one operand size.
macro_rules! port_access {
    ($type:ty, $register:tt, $read:ident, $write:ident) => {
        impl ConfigPorts {
            fn $read(&self, port: u16) -> $type {
                let value: $type;
                // SAFETY: open() got PORTS ports from ADDRESS on for this
                // thread, and callers pass no other; reading one touches
                // no memory of this process.
                unsafe {
                    asm!(
                        concat!("in ", $register, ", dx"),
                        out($register) value, in("dx") port,
                        options(nomem, nostack, preserves_flags)
                    );
                }
                value
            }

            fn $write(&self, port: u16, value: $type) {
                // SAFETY: as for reading. The function's config space changes,
                // which is what the suite is for; a function with DMA enabled
                // could reach memory, this one has none.
                unsafe {
                    asm!(
                        concat!("out dx, ", $register),
                        in("dx") port, in($register) value,
                        options(nomem, nostack, preserves_flags)
                    );
                }
            }
        }
    };
}
port_access!(u8, "al", in8, out8);
port_access!(u16, "ax", in16, out16);
port_access!(u32, "eax", in32, out32);

impl ConfigPorts {
    /// Asks the kernel for the ports.
    ///
    /// # Errors
    ///
    /// This program may not use ports; root may.
    pub fn open(address: Address) -> io::Result<Self> {
        // SAFETY: ioperm() changes no memory; it lets this thread execute port
        // instructions on these ports.
        let granted = unsafe { libc::ioperm(ADDRESS.into(), PORTS.into(), 1) };
        if granted != 0 {
            return Err(io::Error::last_os_error());
        }
        let Address {
            bus,
            device,
            function,
        } = address;
        let [bus, device, function] = [bus, device, function].map(u32::from);
        Ok(Self {
            function: ENABLE | (bus << 16) | (device << 11) | (function << 8),
            stays_on_thread: PhantomData,
        })
    }

    /// Reads `size` (1, 2, 4) bytes; `None` for another size. What lies beyond
    /// the dword of `offset` comes from the ports behind it, which are none of
    /// config space.
    pub fn read(&mut self, offset: u16, size: usize) -> Option<u32> {
        let port = self.select(offset);
        match size {
            1 => Some(self.in8(port).into()),
            2 => Some(self.in16(port).into()),
            4 => Some(self.in32(port)),
            _ => None,
        }
    }

    /// Writes `size` (1, 2, 4) bytes, as [`read`](Self::read) reads them.
    pub fn write(&mut self, offset: u16, size: usize, value: u32) -> Option<()> {
        let port = self.select(offset);
        match size {
            1 => self.out8(port, value as u8),
            2 => self.out16(port, value as u16),
            4 => self.out32(port, value),
            _ => return None,
        }
        Some(())
    }

    /// Points the data port at the dword of `offset`; returns the port of its
    /// first byte. Only the first 256 bytes are in reach.
    fn select(&self, offset: u16) -> u16 {
        self.out32(ADDRESS, self.function | u32::from(offset & 0xfc));
        DATA + (offset & 3)
    }
}
