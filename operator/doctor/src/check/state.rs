//! The state of a function that the check changes, and puts back.

use anyhow::{Context, Result, ensure};

use vgpu_pci::offset;

use super::sysfs::Function;

pub(super) struct State {
    driver: Option<String>,
    driver_override: Option<String>,
    enable_count: u32,
    command: u16,
}

impl State {
    pub(super) fn of(function: &Function<'_>) -> Result<Self> {
        Ok(Self {
            driver: function.driver()?,
            driver_override: function.driver_override()?,
            enable_count: function.enable_count()?,
            command: function.config()?.u16(offset::COMMAND)?,
        })
    }

    pub(super) fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    /// Brings the function back to this state, from any other. What already
    /// is as it was stays untouched.
    pub(super) fn restore(&self, function: &Function<'_>) -> Result<()> {
        if !function.exists() {
            function.sysfs().rescan()?;
            ensure!(
                function.exists(),
                "{} is gone, and a rescan does not find it",
                function.address()
            );
        }
        function.set_driver_override(self.driver_override.as_deref())?;
        function
            .set_driver(self.driver())
            .context("the driver is not back")?;
        // A driver sets both of the rest on its own.
        if self.driver.is_none() {
            self.restore_enable_count(function)?;
            if function.config()?.u16(offset::COMMAND)? != self.command {
                function.write_config(offset::COMMAND, self.command)?;
            }
        }
        Ok(())
    }

    fn restore_enable_count(&self, function: &Function<'_>) -> Result<()> {
        let count = function.enable_count()?;
        for _ in 0..count.abs_diff(self.enable_count) {
            function.enable(count < self.enable_count)?;
        }
        Ok(())
    }
}
