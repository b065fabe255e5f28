//! Signals that ask this process to end: the device has to be let go of first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vgpu_terminal::{Failure, OrMend};

/// Whether one came, and which. Clones know of the same.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From here on no such signal ends the process: who waits asks [`Interrupt::check`].
    ///
    /// # Errors
    /// The signals cannot be handled.
    pub fn catch() -> Result<Self, Failure> {
        let caught = Self::default();
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            signal_hook::flag::register_usize(signal, Arc::clone(&caught.0), signal as usize)
                .or_mend("start the command from a usual shell")?;
        }
        Ok(caught)
    }

    /// Goes on where no signal came.
    ///
    /// # Errors
    /// One came: a failure with the exit code that shells know, 128 and its number.
    pub fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::new(
                format!("interrupted by signal {signal}"),
                "run it again: the device was let go of",
            )
            .with_code(128 | signal as u8)),
        }
    }
}
