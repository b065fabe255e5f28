//! QEMU's qtest protocol: port, memory and PCI configuration accesses without a guest.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::run_folder::RunFolder;
use crate::stream::Stream;

const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The ports of PCI's configuration mechanism 1.
const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;

/// Where a PCI function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciAddress {
    /// 0 to 255.
    pub bus: u8,
    /// 0 to 31.
    pub device: u8,
    /// 0 to 7.
    pub function: u8,
}

/// A connection on which QEMU does accesses in place of a CPU.
#[derive(Debug)]
pub struct Qtest {
    stream: Stream,
    folder: RunFolder,
}

impl Qtest {
    pub(crate) fn new(socket: UnixStream, folder: RunFolder) -> Result<Self> {
        Ok(Self {
            stream: Stream::new(socket)?,
            folder,
        })
    }

    /// Reads `size` (1, 2, 4) bytes of a port.
    ///
    /// # Errors
    /// When the size is another, or QEMU does not answer.
    pub fn port_read(&mut self, port: u16, size: usize) -> Result<u32> {
        let value = self.value(&format!("in{} {port:#x}", suffix(size)?))?;
        value
            .try_into()
            .with_context(|| format!("port {port:#x} holds more than 4 bytes: {value:#x}"))
    }

    /// Writes the low `size` (1, 2, 4) bytes of `value` to a port.
    ///
    /// # Errors
    /// As [`Self::port_read`].
    pub fn port_write(&mut self, port: u16, size: usize, value: u32) -> Result<()> {
        self.done(&format!("out{} {port:#x} {value:#x}", suffix(size)?))
    }

    /// Reads `size` (1, 2, 4, 8) bytes of guest-physical memory, RAM or a device's.
    ///
    /// # Errors
    /// When the size is another, or QEMU does not answer.
    pub fn memory_read(&mut self, address: u64, size: usize) -> Result<u64> {
        self.value(&format!("read{} {address:#x}", suffix(size)?))
    }

    /// Writes the low `size` (1, 2, 4, 8) bytes of `value` to guest-physical memory, RAM or a device's.
    ///
    /// # Errors
    /// As [`Self::memory_read`].
    pub fn memory_write(&mut self, address: u64, size: usize, value: u64) -> Result<()> {
        self.done(&format!("write{} {address:#x} {value:#x}", suffix(size)?))
    }

    /// The configuration space of the function at `address`, by the ports 0xCF8 and 0xCFC.
    pub fn config_ports(&mut self, address: PciAddress) -> PciConfigPorts<'_> {
        PciConfigPorts {
            qtest: self,
            address,
        }
    }

    fn value(&mut self, command: &str) -> Result<u64> {
        parse_answer(&self.answer(command)?)
            .and_then(|value| value.ok_or_else(|| anyhow!("no value")))
            .with_context(|| format!("qtest command {command}"))
    }

    fn done(&mut self, command: &str) -> Result<()> {
        parse_answer(&self.answer(command)?).with_context(|| format!("qtest command {command}"))?;
        Ok(())
    }

    fn answer(&mut self, command: &str) -> Result<String> {
        self.stream
            .write_all(format!("{command}\n").as_bytes())
            .and_then(|()| self.stream.read_line(Instant::now() + ANSWER_LIMIT))
            .with_context(|| format!("qtest command {command}"))
            .map_err(|error| self.folder.explain(&error))
    }
}

/// The letter at the end of a command for `size` bytes.
fn suffix(size: usize) -> Result<char> {
    match size {
        1 => Ok('b'),
        2 => Ok('w'),
        4 => Ok('l'),
        8 => Ok('q'),
        _ => bail!("no access moves {size} bytes"),
    }
}

/// `OK`, with a value or without.
fn parse_answer(line: &str) -> Result<Option<u64>> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["OK"] => Ok(None),
        ["OK", value] => {
            let value = value
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok());
            Ok(Some(value.ok_or_else(|| anyhow!("QEMU answered {line}"))?))
        }
        _ => bail!("QEMU answered {line}"),
    }
}

/// One function's first 256 bytes of configuration space, as a PC's ports give them.
#[derive(Debug)]
pub struct PciConfigPorts<'a> {
    qtest: &'a mut Qtest,
    address: PciAddress,
}

impl PciConfigPorts<'_> {
    /// Reads `size` (1, 2, 4) bytes at `offset`.
    ///
    /// # Errors
    /// When the access crosses 4 bytes, which the ports cannot do, or QEMU does not answer.
    pub fn read(&mut self, offset: u8, size: usize) -> Result<u32> {
        let port = self.select(offset, size)?;
        self.qtest.port_read(port, size)
    }

    /// Writes the low `size` (1, 2, 4) bytes of `value` at `offset`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&mut self, offset: u8, size: usize, value: u32) -> Result<()> {
        let port = self.select(offset, size)?;
        self.qtest.port_write(port, size, value)
    }

    /// Selects the 4 bytes around `offset`, and returns the port of `offset` among them.
    fn select(&mut self, offset: u8, size: usize) -> Result<u16> {
        let (selector, port) = config_access(self.address, offset, size)?;
        self.qtest.port_write(CONFIG_ADDRESS, 4, selector)?;
        Ok(port)
    }
}

/// What selects the 4 bytes around `offset`, and the port of `offset` among them.
fn config_access(address: PciAddress, offset: u8, size: usize) -> Result<(u32, u16)> {
    let PciAddress {
        bus,
        device,
        function,
    } = address;
    ensure!(
        device < 32 && function < 8,
        "no PCI function has the address {address:?}"
    );
    let byte = offset & 3;
    ensure!(
        usize::from(byte) + size <= 4,
        "{size} bytes at {offset:#04x} of configuration space cross 4 bytes"
    );
    let function = u32::from(bus) << 16 | u32::from(device) << 11 | u32::from(function) << 8;
    Ok((
        1 << 31 | function | u32::from(offset & !3),
        CONFIG_DATA + u16::from(byte),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_refusals() {
        assert_eq!(parse_answer("OK").unwrap(), None);
        assert_eq!(parse_answer("OK 0x00ff").unwrap(), Some(0xff));
        assert_eq!(
            parse_answer("OK 0xffffffffffffffff").unwrap(),
            Some(u64::MAX)
        );
        for line in [
            "",
            "OK 12",
            "OK 0x1 0x2",
            "OK 0x10000000000000000",
            "FAIL Unknown command 'inq'",
        ] {
            assert!(
                parse_answer(line).unwrap_err().to_string().ends_with(line),
                "{line}"
            );
        }
    }

    #[test]
    fn config_accesses_go_through_the_right_port() {
        let address = PciAddress {
            bus: 1,
            device: 5,
            function: 2,
        };
        let access = |offset, size| config_access(address, offset, size).unwrap();
        assert_eq!(access(0x00, 4), (0x8001_2a00, 0xcfc));
        assert_eq!(access(0x3d, 1), (0x8001_2a3c, 0xcfd));
        assert_eq!(access(0xfe, 2), (0x8001_2afc, 0xcfe));
        let last = PciAddress {
            bus: 255,
            device: 31,
            function: 7,
        };
        assert_eq!(config_access(last, 0, 1).unwrap(), (0x80ff_ff00, 0xcfc));
    }

    #[test]
    fn what_the_ports_cannot_do_is_refused() {
        let here = PciAddress {
            bus: 0,
            device: 0,
            function: 0,
        };
        for (offset, size) in [(3, 2), (1, 4), (0, 8)] {
            assert!(
                config_access(here, offset, size).is_err(),
                "{size} at {offset}"
            );
        }
        assert!(config_access(PciAddress { device: 32, ..here }, 0, 1).is_err());
        assert!(
            config_access(
                PciAddress {
                    function: 8,
                    ..here
                },
                0,
                1
            )
            .is_err()
        );
    }
}
