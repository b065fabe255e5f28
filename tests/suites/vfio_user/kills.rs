//! A server that is killed in the middle of its work: QEMU outlives it.
//!
//! Stock QEMU 11.1 aborts where its connection is reset, and the kernel resets
//! it where the server dies with a message unread.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use serde_json::Value;
use vgpu_bed::machine::Machine;

use crate::bed::Bed;
use crate::common::{HOME, Place, QtestTarget};

const REQUEST_ID: u64 = HOME as u64 + 0x10;
const ALL_ONES: u64 = 0xffff_ffff;

/// The VM goes on, and its device reads as all ones.
fn is_well(mut machine: Machine) -> Result<()> {
    for _ in 0..3 {
        machine.qtest()?.memory_write(REQUEST_ID, 4, 1)?;
        assert_eq!(machine.qtest()?.memory_read(REQUEST_ID, 4)?, ALL_ONES);
    }
    let status = machine.qmp().execute("query-status", Value::Null)?;
    assert_eq!(status["running"], true);
    Ok(())
}

/// QEMU waits for no answer to a write, so writes pile up before a server that
/// does not run.
#[test]
fn with_messages_unread() -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let machine = bed.machine(&served, Place::Q35).qtest().start()?;
    let mut machine = QtestTarget::new(machine, Place::Q35)?.machine;
    served.server.signal(Signal::STOP)?;
    // It stops a moment after it is told to.
    thread::sleep(Duration::from_millis(100));
    for value in 0..10 {
        machine.qtest()?.memory_write(REQUEST_ID, 4, value)?;
    }
    served.server.kill()?;
    is_well(machine)
}

/// At any moment of accesses that follow each other without a pause.
#[test]
fn under_accesses() -> Result<()> {
    const KILLS: u64 = 20;
    let bed = Bed::new()?;
    // A read that the server has received and not answered is given up late.
    let properties = [("x-msg-timeout", 1000.into())];
    for kill in 0..KILLS {
        let mut served = bed.serve(&[])?;
        let machine = bed.machine_with(&served, Place::Q35, &properties);
        let machine = machine.qtest().start()?;
        let mut machine = QtestTarget::new(machine, Place::Q35)?.machine;
        let accessing = thread::spawn(move || -> Result<Machine> {
            loop {
                for value in 0..4 {
                    machine.qtest()?.memory_write(REQUEST_ID, 4, value)?;
                }
                if machine.qtest()?.memory_read(REQUEST_ID, 4)? == ALL_ONES {
                    return Ok(machine);
                }
            }
        });
        thread::sleep(Duration::from_millis(20 + kill));
        served.server.kill()?;
        is_well(accessing.join().expect("no panic")?)?;
    }
    Ok(())
}
