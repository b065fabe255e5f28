//! This guest: its device, and its memory.

use std::sync::atomic::Ordering;
use std::time::Duration;

use vgpu_direct::directory::{Page, length, page, pages, segments};
use vgpu_direct::{Device, Driver, HUGE, Interrupt, Pages};
use vgpu_ring::Memory;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_terminal::Failure;

use crate::outcome::outcome;

/// How much memory is in use at a time: a driver's directory, its slice, and what an attack takes.
pub(crate) const MEMORY: usize = HUGE + SLICE_SIZE + 6 * HUGE;

/// How long the host may take until it is ready again.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Guest<'d> {
    pub(crate) device: &'d Device,
    interrupt: Interrupt,
}

/// A driver with one good channel, and memory to make directories in.
pub(crate) struct Bench<'d> {
    pub(crate) driver: Driver<&'d Device>,
    pub(crate) channel: u32,
    pub(crate) directory: Pages,
    /// 2 MiB that nobody has.
    pub(crate) memory: Pages,
}

impl<'d> Guest<'d> {
    pub(crate) fn new(device: &'d Device, interrupt: Interrupt) -> Self {
        Self { device, interrupt }
    }

    pub(crate) fn memory(&self, length: usize) -> Result<Pages, Failure> {
        self.interrupt.check()?;
        Pages::new(length)
    }

    /// A driver of its own, which resets the device.
    pub(crate) fn driver(&self) -> Result<Driver<&'d Device>, Failure> {
        let directory = self.memory(Driver::<Device>::DIRECTORY)?;
        Driver::start(self.device, directory, self.interrupt.clone(), PATIENCE)
    }

    pub(crate) fn bench(&self) -> Result<Bench<'d>, Failure> {
        let mut driver = self.driver()?;
        let channel = driver.open(self.memory(SLICE_SIZE)?)?;
        Ok(Bench {
            driver,
            channel,
            directory: self.memory(HUGE)?,
            memory: self.memory(HUGE)?,
        })
    }
}

impl Bench<'_> {
    /// Puts pages where the directory is.
    pub(crate) fn write(&self, pages: &[Page]) {
        let words = self.directory.window().words();
        for (to, from) in words.iter().zip(pages.iter().flatten()) {
            to.store(*from, Ordering::Relaxed);
        }
    }

    /// Adds what a directory at this address names; takes it away again where that is taken.
    pub(crate) fn add_at(&self, address: u64, length: u64) -> String {
        let mailbox = self.driver.mailbox();
        let added = mailbox.add(self.channel, address, length);
        match added {
            Ok(region) => outcome(&mailbox.delete(self.channel, region)),
            Err(_) => outcome(&added),
        }
    }

    /// The same of these pages.
    pub(crate) fn add(&self, pages: &[Page], length: u64) -> String {
        self.write(pages);
        self.add_at(self.directory.addresses()[0], length)
    }

    /// The same of one page with these segments.
    pub(crate) fn add_segments(&self, segments: &[u64], length: u64) -> String {
        self.add(&[page(segments, 0)], length)
    }

    /// A directory of all of the memory, as it should be.
    pub(crate) fn good(&self) -> Vec<Page> {
        let segments = segments(self.memory.addresses());
        let addresses = &self.directory.addresses()[..length(segments.len())];
        pages(&segments, addresses).unwrap_or_default()
    }
}
