//! The server and its VMs, each of which may end before the other.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use vgpu_bed::server::Server;
use vgpu_conformance::Target;
use vgpu_device::Register;

use crate::bed::Bed;
use crate::common::{Place, QtestTarget, run};

const ALL_ONES: u32 = 0xffff_ffff;

#[test]
fn a_dead_server_reads_as_all_ones() -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let machine = bed.machine(&served, Place::Q35).qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Q35)?;
    target.bar0_write(0x10, 4, 0x1234_5678)?;
    assert_eq!(target.bar0_read(0x10, 4)?, 0x1234_5678);
    served.server.kill()?;
    for _ in 0..3 {
        assert_eq!(target.bar0_read(0x10, 4)?, u64::from(ALL_ONES));
        assert_eq!(target.bar0_read(0x20, 8)?, u64::MAX);
        target.bar0_write(0x10, 4, 0)?;
        for offset in [0x00, 0x08, 0x2c] {
            assert_eq!(target.config_read(offset, 4)?, ALL_ONES);
        }
        target.config_write(0x3c, 1, 7)?;
    }
    let status = target.machine.qmp().execute("query-status", Value::Null)?;
    assert_eq!(status["running"], true);
    Ok(())
}

#[test]
fn a_guest_outlives_its_server() -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let mut machine = bed.boot(&served, Place::Pc)?;
    run(&mut machine, "vgpu-stub check")?;
    served.server.kill()?;
    let config = run(&mut machine, "lspci -s 00:05.0 -xxx | tail -n +2")?;
    assert!(config.starts_with("00: ff ff ff ff ff ff"), "{config}");
    // The check fails with words, and the guest goes on.
    let check = machine.guest()?.run("vgpu-stub check --address 00:05.0")?;
    assert_eq!(check.status, 1, "{}", check.stdout);
    assert!(check.stdout.contains("ff ff"), "{}", check.stdout);
    machine.power_off()
}

/// A busy host may leave the server no time; QEMU waits up to 5 seconds.
#[test]
fn a_guest_waits_for_a_stopped_server() -> Result<()> {
    const STOPPED: Duration = Duration::from_secs(3);
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let mut machine = bed.boot(&served, Place::Q35)?;
    machine.guest()?.wait_ready()?;
    served.server.signal(Signal::STOP)?;
    let started = Instant::now();
    let pid = served.server.pid();
    let going_on = thread::spawn(move || {
        thread::sleep(STOPPED);
        kill_process(pid, Signal::CONT)
    });
    let listed = run(&mut machine, "lspci -n -s 00:05.0")?;
    assert_eq!(listed, "00:05.0 1200: 1af4:1111 (rev 01)\n");
    assert!(started.elapsed() >= STOPPED, "{:?}", started.elapsed());
    going_on.join().expect("no panic")?;
    run(&mut machine, "vgpu-stub check")?;
    machine.power_off()
}

#[test]
fn the_next_vm_finds_nothing_of_the_last_one() -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    for connections in 1..=3 {
        let machine = bed.machine(&served, Place::Pc).qtest().start()?;
        let mut target = QtestTarget::new(machine, Place::Pc)?;
        for offset in (0..0x400).step_by(4) {
            assert_eq!(target.bar0_read(offset, 4)?, 0, "{offset:#x}");
            target.bar0_write(offset, 4, 0x5ec2_e700 | offset)?;
        }
        served.control()?.set_status(0, 0x5ec2_e704)?;
        assert_eq!(served.counters()?.connections, connections);
        drop(target);
        // Until the next one comes, the host can see what the last one left.
        wait_until(|| Ok(!served.control()?.info(0)?.connected))?;
        let status = served.registers()?.get(Register::Status);
        assert_eq!(status, Some(0x5ec2_e704));
    }
    served.server.stop()
}

#[test]
fn a_second_vm_is_turned_away() -> Result<()> {
    let bed = Bed::new()?;
    let served = bed.serve(&[])?;
    let machine = bed.machine(&served, Place::Pc).qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Pc)?;
    target.bar0_write(0x10, 4, 0x1234_5678)?;
    let started = Instant::now();
    let error = bed.machine(&served, Place::Pc).qtest().start().unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("Device or resource busy"), "{text}");
    // At once, not after QEMU's 5 seconds for an answer.
    assert!(started.elapsed() < Duration::from_secs(4), "{text}");
    let log = served.server.log();
    assert!(
        log.contains("turned a client away: another VM has the device"),
        "{log}"
    );
    assert_eq!(target.bar0_read(0x10, 4)?, 0x1234_5678);
    Ok(())
}

#[test]
fn a_server_follows_a_dead_one_on_its_socket() -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let socket = served.server.socket().to_path_buf();
    served.server.kill()?;
    // The dead one's folder holds the socket, so it stays.
    let mut server = Server::start_at(&bed.program, &socket, ["--trace", "access"])?;
    let machine = bed.machine(&served, Place::Pc).qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Pc)?;
    assert_eq!(target.config_read(0x00, 4)?, 0x1111_1af4);
    let first = "config_read addr 0x000 size 4 value 0x11111af4\n";
    // The log's own thread writes it.
    wait_until(|| Ok(server.log().contains(first)))?;
    let log = server.log();
    for line in [
        "vgpu-stub: client connected\n",
        "vgpu-stub: reset\n",
        "vgpu-stub: config_write addr 0x010 size 4 value 0xfe400000\n",
    ] {
        assert!(log.contains(line), "no {line:?} in:\n{log}");
    }
    // Ended in order, it leaves QEMU and its guest alone too.
    server.stop()?;
    assert_eq!(target.config_read(0x00, 4)?, ALL_ONES);
    Ok(())
}

/// Waits for what the server does by itself.
fn wait_until(mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done()? {
        anyhow::ensure!(Instant::now() < deadline, "it does not happen");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
