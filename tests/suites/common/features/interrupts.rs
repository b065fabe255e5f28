//! Interrupts, which need no guest: a message is a write, which may as well go to memory.

use anyhow::{Context, Result};
use vgpu_abi::bar0::MSIX_PENDING;
use vgpu_abi::mailbox;
use vgpu_bed::daemon::within;

use super::qtest_driver::{Driver, LIMIT};
use super::{FeaturesBed, daemon};
use crate::common::{Place, QtestTarget};

const ADDRESS: u32 = 0x10_0000;
const WORD: u32 = 0x0060_0d1d;

/// So often QEMU is asked where nothing is to be seen.
const SEVERAL: u32 = 100;

/// The mailbox interrupts once for what is not yet acknowledged, and where the vector is masked, when it no longer is.
pub(crate) fn of_the_mailbox<B: FeaturesBed>(place: Place) -> Result<()> {
    let (bed, daemon) = (B::new()?, daemon()?);
    let server = bed.serve(&daemon)?;
    let machine = bed.with_features(&server, &daemon, place).qtest().start()?;
    let mut driver = Driver::new(QtestTarget::new(machine, place)?)?;
    let came = |driver: &mut Driver| {
        within(LIMIT, || Ok(driver.memory(ADDRESS)? == WORD)).context("no interrupt")?;
        driver.0.machine.qtest()?.memory_write(ADDRESS.into(), 4, 0)
    };
    driver.set_vector(0, ADDRESS, WORD)?;
    driver.enable_interrupts()?;
    driver.acknowledge()?;
    assert_eq!(driver.command(mailbox::ECHO, &[7])?, Ok(7));
    came(&mut driver)?;
    // It has heard of it.
    assert_eq!(driver.command(mailbox::ECHO, &[8])?, Ok(8));
    driver.acknowledge()?;
    driver.mask(0, true)?;
    assert_eq!(driver.command(mailbox::ECHO, &[9])?, Ok(9));
    let pending = |driver: &mut Driver| Ok(driver.read(MSIX_PENDING.start)? & 1 == 1);
    if B::BY_VFIO {
        // QEMU has the vectors, but asks the server what is pending, which does not know what is masked (docs/features.md).
        // It hears of the interrupt between two questions.
        for _ in 0..SEVERAL {
            assert!(!pending(&mut driver)?, "this QEMU tells what is pending");
        }
    } else {
        within(LIMIT, || pending(&mut driver)).context("nothing is pending")?;
    }
    assert_eq!(driver.memory(ADDRESS)?, 0, "one came too many");
    driver.mask(0, false)?;
    came(&mut driver)?;
    assert!(!pending(&mut driver)?);
    Ok(())
}
