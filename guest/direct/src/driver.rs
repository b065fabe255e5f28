//! What a kernel's driver would do: settle features, open channels, let go of the device.

use std::mem;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use vgpu_abi::bar0::{
    ABI, ABI_VERSION, ACK, ACK_HIGH, DRIVER, FEATURES, LIMITS, MAGIC, MAGIC_VALUE, PINNED_MAX,
    STATE,
};
use vgpu_abi::features::{SEGMENT_ADDRESS, driver, state};
use vgpu_abi::segment::{PAGES_MAX, PIECES_MAX};
use vgpu_ring::Memory;
use vgpu_terminal::Failure;
use vgpu_window::Window;

use crate::directory;
use crate::{Error, Interrupt, Mailbox, PAGE, Pages, Registers};

/// How long the host may take to give up memory: a second, and then it does so by force.
const RESET: Duration = Duration::from_secs(5);

/// A region that the host may have.
#[derive(Debug)]
struct Shared {
    /// Channel and region; `None` where the host did not say whether it has the memory.
    number: Option<(u32, u32)>,
    pages: Pages,
}

/// The device's driver. Dropped, it resets the device, and gives its memory back once the host has none of it any more.
#[derive(Debug)]
pub struct Driver<R: Registers> {
    mailbox: Mailbox<R>,
    interrupt: Interrupt,
    directory: Pages,
    shared: Vec<Shared>,
}

impl<R: Registers> Driver<R> {
    /// Bytes of memory that directories take.
    pub const DIRECTORY: usize = PAGES_MAX as usize * PAGE;

    /// Becomes the driver of a device, and waits until its host is ready, but no longer than `patience`. `directory` is
    /// memory of [`Driver::DIRECTORY`] bytes.
    ///
    /// # Errors
    /// The device has no features, or not what this driver needs; the host is not ready; a signal came.
    pub fn start(
        registers: R,
        directory: Pages,
        interrupt: Interrupt,
        patience: Duration,
    ) -> Result<Self, Failure> {
        look(&registers)?;
        let driver = Self {
            mailbox: Mailbox::new(registers),
            interrupt,
            directory,
            shared: Vec::new(),
        };
        // An earlier one may have been killed.
        driver.reset()?;
        driver.settle()?;
        driver.wait_for_host(patience)?;
        Ok(driver)
    }

    fn settle(&self) -> Result<(), Failure> {
        let registers = self.registers();
        for step in [driver::PRESENT, driver::SETTLED, driver::RUN] {
            if step == driver::SETTLED {
                registers.write(ACK, SEGMENT_ADDRESS as u32);
                registers.write(ACK_HIGH, 0);
            }
            registers.write(DRIVER, step);
            let now = registers.read(DRIVER);
            if now != step {
                return Err(Failure::new(
                    format!(
                        "the device does not take {step} as the state of its driver, which stays {now}"
                    ),
                    "see that nothing else uses the device, and run it again",
                ));
            }
        }
        Ok(())
    }

    fn wait_for_host(&self, patience: Duration) -> Result<(), Failure> {
        let now = self.wait(patience, |state| state == state::READY)?;
        let (cause, mend) = match now {
            state::READY => return Ok(()),
            state::NO_DAEMON => (
                "no daemon on the host serves the device (STATE 0)",
                "start vgpud on the host, and let the device's emulator reach it",
            ),
            state::LOST => (
                "the device has lost its daemon on the host (STATE 3)",
                "start vgpud on the host anew, and run this again",
            ),
            state::RESETTING => (
                "the host does not come to an end with a reset (STATE 2)",
                "see in the logs of vgpud and of the emulator what hangs",
            ),
            _ => (
                "the device says nothing that makes sense of its host's state",
                "see on the host whether the emulator runs",
            ),
        };
        Err(Failure::new(cause, mend))
    }

    /// The state of the host, once it is as wanted, or the time is over.
    fn wait(&self, patience: Duration, wanted: impl Fn(u32) -> bool) -> Result<u32, Failure> {
        let end = Instant::now() + patience;
        loop {
            let now = self.registers().read(STATE);
            if wanted(now) || Instant::now() >= end {
                return Ok(now);
            }
            self.interrupt.check()?;
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The device's registers.
    pub const fn registers(&self) -> &R {
        self.mailbox.registers()
    }

    /// Its mailbox.
    pub const fn mailbox(&self) -> &Mailbox<R> {
        &self.mailbox
    }

    /// The signals at which whoever waits for the device gives up.
    pub const fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// The version of its ABI: major and minor.
    pub fn abi(&self) -> (u16, u16) {
        let abi = self.registers().read(ABI);
        ((abi >> 16) as u16, abi as u16)
    }

    /// The most channels of the device.
    pub fn channels(&self) -> u16 {
        self.registers().read(LIMITS) as u16
    }

    /// The most memory of all regions, in MiB.
    pub fn pinned_max(&self) -> u32 {
        self.registers().read(PINNED_MAX)
    }

    /// Opens a channel with a slice; gives its number.
    ///
    /// # Errors
    /// The device or the host does not take it.
    pub fn open(&mut self, slice: Pages) -> Result<u32, Failure> {
        self.share(slice, |mailbox, directory, length| {
            let channel = mailbox.open(directory, length)?;
            Ok((channel, 0))
        })
        .map(|(channel, _)| channel)
    }

    /// Adds memory to a channel; gives the region's number.
    ///
    /// # Errors
    /// The device or the host does not take it.
    pub fn add(&mut self, channel: u32, region: Pages) -> Result<u32, Failure> {
        self.share(region, |mailbox, directory, length| {
            let region = mailbox.add(channel, directory, length)?;
            Ok((channel, region))
        })
        .map(|(_, region)| region)
    }

    fn share(
        &mut self,
        pages: Pages,
        ask: impl FnOnce(&Mailbox<R>, u64, u64) -> Result<(u32, u32), Error>,
    ) -> Result<(u32, u32), Failure> {
        let segments = directory::segments(pages.addresses());
        let page = (segments.len() <= PIECES_MAX as usize)
            .then(|| directory::pages(&segments, self.directory.addresses()))
            .flatten();
        let page = page.ok_or_else(|| {
            Failure::new(
                format!(
                    "the memory is in {} pieces, and {PIECES_MAX} are the most",
                    segments.len()
                ),
                "free memory for huge pages, or take a smaller --region",
            )
        })?;
        let words = self.directory.window().words();
        for (to, from) in words.iter().zip(page.iter().flatten()) {
            to.store(*from, Ordering::Relaxed);
        }
        let asked = ask(
            &self.mailbox,
            self.directory.addresses()[0],
            pages.window().size() as u64,
        );
        if !matches!(asked, Err(Error::Refused { .. })) {
            let number = asked.ok();
            self.shared.push(Shared { number, pages });
        }
        Ok(asked?)
    }

    /// The memory of a region that the host has; 0 is the slice.
    pub fn window(&self, channel: u32, region: u32) -> Option<&Window> {
        let mut shared = self.shared.iter();
        let found = shared.find(|it| it.number == Some((channel, region)));
        found.map(|it| it.pages.window())
    }

    /// Whether all memory that the host has is in huge pages.
    pub fn is_huge(&self) -> bool {
        self.shared.iter().all(|it| it.pages.is_huge())
    }

    /// Takes a region away, and gives its memory back.
    ///
    /// # Errors
    /// The device or the host does not say that it is done.
    pub fn delete(&mut self, channel: u32, region: u32) -> Result<(), Failure> {
        self.mailbox.delete(channel, region)?;
        self.shared
            .retain(|it| it.number != Some((channel, region)));
        Ok(())
    }

    /// Closes a channel, and gives the memory of all its regions back.
    ///
    /// # Errors
    /// The device or the host does not say that it is done: then the memory stays until the device is let go of.
    pub fn close(&mut self, channel: u32) -> Result<(), Failure> {
        self.mailbox.close(channel)?;
        self.shared
            .retain(|it| it.number.is_none_or(|(of, _)| of != channel));
        Ok(())
    }

    /// Looks whether all memory is still where the device was told.
    ///
    /// # Errors
    /// The kernel has moved some.
    pub fn check_pages(&self) -> Result<(), Failure> {
        for shared in &self.shared {
            if shared.pages.moved()? {
                return Err(Failure::new(
                    "the kernel has moved memory that the device has: what was read there means nothing",
                    "free memory for huge pages, which it does not move, and start this guest anew",
                ));
            }
        }
        Ok(())
    }

    /// Lets go of the device.
    ///
    /// # Errors
    /// The host does not say that it has given all memory up.
    pub fn end(self) -> Result<(), Failure> {
        self.reset()
    }

    /// Has the host give up all memory of this guest. Signals are no reason not to wait for that.
    fn reset(&self) -> Result<(), Failure> {
        self.registers().write(DRIVER, driver::RESET);
        let end = Instant::now() + RESET;
        while self.registers().read(STATE) == state::RESETTING {
            if Instant::now() >= end {
                return Err(Failure::new(
                    "the host has not said that it gave this guest's memory up (STATE 2)",
                    "see in the logs of vgpud and of the emulator what hangs; start this guest anew",
                ));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl<R: Registers> Drop for Driver<R> {
    fn drop(&mut self) {
        if self.reset().is_err() {
            // The host may still write to it: nobody else is to get it while this process lives.
            mem::forget(mem::take(&mut self.shared));
        }
    }
}

/// Whether this is a device that this driver knows, with what it needs.
fn look(registers: &impl Registers) -> Result<(), Failure> {
    let versions = "use versions of guest and host that belong together";
    let (cause, mend) = match registers.read(MAGIC) {
        MAGIC_VALUE => match (registers.read(ABI), registers.read_long(FEATURES)) {
            (abi, _) if abi >> 16 != ABI_VERSION >> 16 => {
                let (major, known) = (abi >> 16, ABI_VERSION >> 16);
                (
                    format!(
                        "the device is of version {major}, and this command knows version {known}"
                    ),
                    versions,
                )
            }
            (_, features) if features & SEGMENT_ADDRESS == 0 => (
                "the device takes no memory of this guest by its address".to_owned(),
                "on KVM, start QEMU with memory-backend-memfd,share=on; on Xen, this is not for you",
            ),
            _ => return Ok(()),
        },
        0 => (
            "the device has no features: it is registers alone".to_owned(),
            "start it with features=on",
        ),
        u32::MAX => (
            "the device does not answer: it reads all ones".to_owned(),
            "see on the host whether its emulator runs; this guest may have to be started anew",
        ),
        other => (
            format!("the device has an unknown mark ({other:#010x})"),
            versions,
        ),
    };
    Err(Failure::new(cause, mend))
}
