//! A driver of a device with features, in a machine without a guest.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vgpu_abi::bar0::{
    ACK, COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, DRIVER, EVENTS_ACK, FEATURES, FEATURES_HIGH,
    MSIX_TABLE, STATE, STATUS,
};
use vgpu_abi::features::{driver, state};
use vgpu_abi::mailbox::{self, status};
use vgpu_abi::segment::{MAGIC, PAGE, Segment};
use vgpu_bed::daemon::within;
use vgpu_conformance::Target;

use crate::common::QtestTarget;

/// How long the host may take, on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Where directories lie in the machine's memory.
const DIRECTORY: u64 = 0x20_0000;

/// Slices are of 2^10 pages.
const SLICE_ORDER: u32 = 10;
const SLICE: u64 = PAGE << SLICE_ORDER;

/// Bits of the Command register: memory decode, bus master.
const MEMORY_AND_MASTER: u32 = 0x6;

/// The driver, which has accepted all that the device offers.
pub(crate) struct Driver(pub(crate) QtestTarget);

impl Driver {
    /// Waits for the daemon, and then runs.
    pub(crate) fn new(mut target: QtestTarget) -> Result<Self> {
        target.config_write(0x04, 2, MEMORY_AND_MASTER)?;
        let mut driver = Self(target);
        driver.waits_for_state(state::READY)?;
        driver.runs()?;
        Ok(driver)
    }

    /// Steps up to RUN.
    pub(crate) fn runs(&mut self) -> Result<()> {
        self.write(DRIVER, driver::PRESENT)?;
        for (offered, accepted) in [(FEATURES, ACK), (FEATURES_HIGH, ACK + 4)] {
            let offered = self.read(offered)?;
            self.write(accepted, offered)?;
        }
        self.write(DRIVER, driver::SETTLED)?;
        self.write(DRIVER, driver::RUN)?;
        ensure!(self.read(DRIVER)? == driver::RUN, "the device refuses it");
        Ok(())
    }

    pub(crate) fn waits_for_state(&mut self, state: u32) -> Result<()> {
        within(LIMIT, || Ok(self.read(STATE)? == state)).with_context(|| format!("STATE {state}"))
    }

    pub(crate) fn read(&mut self, register: u64) -> Result<u32> {
        Ok(self.0.bar0_read(register, 4)?.try_into()?)
    }

    pub(crate) fn write(&mut self, register: u64, value: u32) -> Result<()> {
        Ok(self.0.bar0_write(register, 4, value.into())?)
    }

    /// Has a command done: the code of its failure, or what it answers.
    pub(crate) fn command(&mut self, command: u32, parameters: &[u32]) -> Result<Result<u32, u32>> {
        for (at, word) in (DATA.start..).step_by(4).zip(parameters) {
            self.write(at, *word)?;
        }
        self.write(DATA_OFFSET, u32::try_from(DATA.start)?)?;
        self.write(DATA_LENGTH, u32::try_from(4 * parameters.len())?)?;
        self.write(COMMAND, command)?;
        within(LIMIT, || Ok(self.read(STATUS)? & status::DONE != 0)).context("no answer")?;
        let now = self.read(STATUS)?;
        Ok(match now & status::ERROR {
            0 => Ok(self.read(DATA.start + 16)?),
            _ => Err(now >> status::CODE_SHIFT),
        })
    }

    /// Opens a channel whose slice begins at an address.
    pub(crate) fn open(&mut self, slice: u64) -> Result<Result<u32, u32>> {
        let segment = Segment::word(slice, SLICE_ORDER).context("no segment")?;
        let qtest = self.0.machine.qtest()?;
        qtest.memory_write(DIRECTORY, 8, u64::from(MAGIC) | 1 << 32)?;
        qtest.memory_write(DIRECTORY + 8, 8, 0)?;
        qtest.memory_write(DIRECTORY + 16, 8, segment)?;
        let words = |long: u64| [long as u32, (long >> 32) as u32];
        let parameters = [words(DIRECTORY), words(SLICE), [0, 0]].concat();
        self.command(mailbox::CHANNEL_OPEN, &parameters)
    }

    pub(crate) fn close(&mut self, channel: u32) -> Result<Result<u32, u32>> {
        self.command(mailbox::CHANNEL_CLOSE, &[channel])
    }

    /// Has an interrupt vector write a word to an address.
    pub(crate) fn set_vector(&mut self, vector: u64, address: u32, word: u32) -> Result<()> {
        let entry = MSIX_TABLE.start + 16 * vector;
        for (at, value) in (entry..).step_by(4).zip([address, 0, word]) {
            self.write(at, value)?;
        }
        self.mask(vector, false)
    }

    pub(crate) fn mask(&mut self, vector: u64, masked: bool) -> Result<()> {
        self.write(MSIX_TABLE.start + 16 * vector + 12, masked.into())
    }

    /// Switches interrupts on.
    pub(crate) fn enable_interrupts(&mut self) -> Result<()> {
        let mut at = self.0.config_read(0x34, 1)?;
        while at != 0 {
            let offset = u16::try_from(at)?;
            let header = self.0.config_read(offset, 2)?;
            if header & 0xff == 0x11 {
                return Ok(self.0.config_write(offset + 2, 2, 0x8000)?);
            }
            at = header >> 8;
        }
        anyhow::bail!("the device has no MSI-X")
    }

    pub(crate) fn acknowledge(&mut self) -> Result<()> {
        self.write(EVENTS_ACK, u32::MAX)
    }

    /// A word of the machine's memory.
    pub(crate) fn memory(&mut self, address: u32) -> Result<u32> {
        let word = self.0.machine.qtest()?.memory_read(address.into(), 4)?;
        Ok(word.try_into()?)
    }
}
