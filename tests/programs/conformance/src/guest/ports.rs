//! I/O ports, and configuration mechanism #1: an address at port 0xCF8, data
//! at 0xCFC (PCI 3.0 section 3.2.2.3.2).
#![allow(unsafe_code)] // port instructions and the permission to use them

use std::arch::asm;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;

use super::address::Address;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// Up to the last byte of a dword that begins at the last byte of the data.
const CONFIG: Range<u16> = ADDRESS..DATA + 3 + 4;
const ENABLE: u32 = 1 << 31;

/// I/O ports. They stay on the thread that opened them, as the kernel grants
/// ports to a thread.
#[derive(Debug)]
pub struct Ports {
    granted: Range<u16>,
    stays_on_thread: PhantomData<*const ()>,
}

impl Ports {
    /// Asks the kernel for these ports.
    ///
    /// # Errors
    ///
    /// This program may not use ports; root may.
    pub fn open(ports: Range<u16>) -> io::Result<Self> {
        // SAFETY: ioperm() changes no memory; it lets this thread execute port
        // instructions on these ports.
        let granted = unsafe { libc::ioperm(ports.start.into(), ports.len() as u64, 1) };
        if granted != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            granted: ports,
            stays_on_thread: PhantomData,
        })
    }

    /// Whether all of an access is within the ports.
    fn grants(&self, port: u16, size: u16) -> bool {
        let last = port.checked_add(size - 1);
        self.granted.contains(&port) && last.is_some_and(|last| self.granted.contains(&last))
    }
}

/// `$write` and `$read` for one operand size.
macro_rules! port_access {
    ($type:ty, $register:tt, $read:ident, $write:ident) => {
        impl Ports {
            /// Reads a port; all ones outside the ports that were asked for.
            pub fn $read(&mut self, port: u16) -> $type {
                if !self.grants(port, size_of::<$type>() as u16) {
                    return <$type>::MAX;
                }
                let value: $type;
                // SAFETY: the kernel grants this thread the port, as was
                // looked; reading one touches no memory of this process.
                unsafe {
                    asm!(
                        concat!("in ", $register, ", dx"),
                        out($register) value, in("dx") port,
                        options(nomem, nostack, preserves_flags)
                    );
                }
                value
            }

            /// Writes a port; nothing outside the ports that were asked for.
            pub fn $write(&mut self, port: u16, value: $type) {
                if !self.grants(port, size_of::<$type>() as u16) {
                    return;
                }
                // SAFETY: as for reading. What the port does to the machine is
                // what these programs are for; it has no DMA to their memory.
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
port_access!(u8, "al", read8, write8);
port_access!(u16, "ax", read16, write16);
port_access!(u32, "eax", read32, write32);

/// The config space of one function.
#[derive(Debug)]
pub struct ConfigPorts {
    /// Address register for offset 0.
    function: u32,
    ports: Ports,
}

impl ConfigPorts {
    /// Asks the kernel for the ports.
    ///
    /// # Errors
    ///
    /// This program may not use ports; root may.
    pub fn open(address: Address) -> io::Result<Self> {
        let Address {
            bus,
            device,
            function,
        } = address;
        let [bus, device, function] = [bus, device, function].map(u32::from);
        Ok(Self {
            function: ENABLE | (bus << 16) | (device << 11) | (function << 8),
            ports: Ports::open(CONFIG)?,
        })
    }

    /// Reads `size` (1, 2, 4) bytes; `None` for another size. What lies beyond
    /// the dword of `offset` comes from the ports behind it, which are none of
    /// config space.
    pub fn read(&mut self, offset: u16, size: usize) -> Option<u32> {
        let port = self.select(offset);
        match size {
            1 => Some(self.ports.read8(port).into()),
            2 => Some(self.ports.read16(port).into()),
            4 => Some(self.ports.read32(port)),
            _ => None,
        }
    }

    /// Writes `size` (1, 2, 4) bytes, as [`read`](Self::read) reads them.
    pub fn write(&mut self, offset: u16, size: usize, value: u32) -> Option<()> {
        let port = self.select(offset);
        match size {
            1 => self.ports.write8(port, value as u8),
            2 => self.ports.write16(port, value as u16),
            4 => self.ports.write32(port, value),
            _ => return None,
        }
        Some(())
    }

    /// Points the data port at the dword of `offset`; returns the port of its
    /// first byte. Only the first 256 bytes are in reach.
    fn select(&mut self, offset: u16) -> u16 {
        self.ports
            .write32(ADDRESS, self.function | u32::from(offset & 0xfc));
        DATA + (offset & 3)
    }
}
