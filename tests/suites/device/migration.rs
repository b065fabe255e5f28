//! The device moves with its machine: snapshots, live migration, and QEMU's
//! own copy of config space, which moves as well.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use vgpu_bed::machine::Machine;
use vgpu_conformance::Target;

use crate::bed::{Bed, property, query_pci, set_property};
use crate::common::{Place, QtestTarget};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Migrates `machine` to `uri` and waits for the end, which it returns.
pub(crate) fn migrate(machine: &mut Machine, uri: &str) -> Result<String> {
    machine.qmp().execute("migrate", json!({ "uri": uri }))?;
    for _ in 0..600 {
        let status = machine.qmp().execute("query-migrate", Value::Null)?;
        match status["status"].as_str() {
            Some(end @ ("completed" | "failed" | "cancelled")) => return Ok(end.to_owned()),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    anyhow::bail!("the migration does not end")
}

/// QEMU puts its copy of config space and the state of four interrupt pins
/// (vmstate_pci_device) before the model's state, which starts with magic,
/// version, BAR size and the model's config space.
const INTERRUPT_STATE: usize = 16;
const MODEL_HEADER: usize = 16;

/// Config space twice, out of a migration stream: QEMU's copy and the model's.
fn copies(stream: &[u8], config_size: usize) -> Result<(&[u8], &[u8])> {
    let qemu = qemu_copy(stream, config_size)?;
    let model = qemu + config_size + INTERRUPT_STATE + MODEL_HEADER;
    let bytes = |at| stream.get(at..at + 256).context("the stream is cut");
    Ok((bytes(qemu)?, bytes(model)?))
}

/// Where in the stream QEMU's copy starts.
fn qemu_copy(stream: &[u8], config_size: usize) -> Result<usize> {
    const MAGIC: &[u8] = b"vgpustub";
    stream
        .windows(MAGIC.len())
        .position(|window| window == MAGIC)
        .and_then(|state| state.checked_sub(INTERRUPT_STATE + config_size))
        .context("the stream holds no state of the device")
}

pub(crate) fn saved(machine: &mut Machine, file: &Path) -> Result<Vec<u8>> {
    let end = migrate(machine, &format!("exec:cat >{}", file.display()))?;
    ensure!(end == "completed", "the migration {end}");
    Ok(fs::read(file)?)
}

/// A device to which a guest wrote whatever it liked; the same in each run.
fn scribbled(bed: &Bed, place: Place) -> Result<QtestTarget> {
    let machine = bed.with_device(place, "").qtest().start()?;
    let mut target = QtestTarget::new(machine, place)?;
    let size = prop_oneof![Just(1usize), Just(2), Just(4)];
    let writes = proptest::collection::vec((0u16..0x80, size, any::<u32>()), 60)
        .new_tree(&mut TestRunner::deterministic())
        .map_err(anyhow::Error::msg)?
        .current();
    for (offset, size, value) in writes {
        let offset = offset & !(size as u16 - 1);
        target.config_write(offset, size, value)?;
    }
    Ok(target)
}

/// QEMU's copy is the model's: after any writes, after a function level reset,
/// and after loading, even of a stream in which they differ.
fn copies_stay_in_step(place: Place) -> Result<()> {
    let bed = Bed::new()?;
    let config_size = if place == Place::Pc { 256 } else { 4096 };

    let mut target = scribbled(&bed, place)?;
    target.config_write(0x48, 2, 0x8000)?;
    let file = target.machine.folder().join("stream");
    let stream = saved(&mut target.machine, &file)?;
    let (qemu, model) = copies(&stream, config_size)?;
    assert_eq!(qemu, model, "after a reset at {place}");

    let mut target = scribbled(&bed, place)?;
    target.config_write(0x10, 4, 0xfe40_0000)?;
    target.config_write(0x04, 2, 0x0102)?;
    target.bar0_write(0x10, 4, 0x0060_0d1d)?;
    let file = target.machine.folder().join("stream");
    let stream = saved(&mut target.machine, &file)?;
    let (qemu, model) = copies(&stream, config_size)?;
    assert_eq!(qemu, model, "after writes at {place}");

    let mut damaged = stream.clone();
    let at = qemu_copy(&stream, config_size)?;
    for (register, bits) in [(0x04, 0x02), (0x0c, 0xff), (0x11, 0x10), (0x3c, 0xff)] {
        damaged[at + register] ^= bits;
    }
    fs::write(&file, damaged)?;
    let mut loaded = bed
        .with_device(place, "")
        .qtest()
        .incoming(&format!("exec:cat {}", file.display()))
        .start()?;
    loaded.qmp().wait_event("RESUME", LIMIT)?;
    assert_eq!(property(&mut loaded, "request-id")?, 0x0060_0d1d);
    let bar = &query_pci(&mut loaded, "vgpu")?.context("no device")?["regions"][0]["address"];
    assert_eq!(bar, 0xfe40_0000u32, "QEMU maps the BAR where it was");
    let again = loaded.folder().join("again");
    let stream = saved(&mut loaded, &again)?;
    let (qemu_after, model_after) = copies(&stream, config_size)?;
    assert_eq!(qemu_after, model_after, "after loading at {place}");
    assert_eq!(model_after, model, "loading changes nothing at {place}");
    Ok(())
}

#[test]
fn copies_stay_in_step_on_pc() -> Result<()> {
    copies_stay_in_step(Place::Pc)
}

#[test]
fn copies_stay_in_step_behind_a_root_port() -> Result<()> {
    copies_stay_in_step(Place::RootPort)
}

/// Writes Request ID and a word of the data region from within the guest.
const SCRATCH: &str = "A=$((0x$(setpci -s 5 0x10.l) & ~0xf)); setpci -s 5 0x04.w=0x0002;";

#[test]
fn a_running_guest_takes_the_device_along() -> Result<()> {
    let bed = Bed::new()?;
    let mut from = bed.boot(Place::Pc, "")?;
    from.guest()?
        .run(&format!(
            "{SCRATCH} devmem $((A + 0x10)) 32 0xcafe0001 && devmem $((A + 0x3fc)) 32 0xcafe0002"
        ))?
        .success()?;
    set_property(&mut from, "status", 0xcafe_0003u32)?;

    let uri = format!("unix:{}", from.folder().join("migration").display());
    let mut to = bed
        .with_device(Place::Pc, "")
        .image(&bed.image()?)
        .incoming(&uri)
        .start()?;
    assert_eq!(migrate(&mut from, &uri)?, "completed");
    to.qmp().wait_event("RESUME", LIMIT)?;

    let read = |machine: &mut Machine, offset: u32| {
        let command = format!("{SCRATCH} devmem $((A + {offset})) 32");
        machine.guest()?.run(&command)?.success()
    };
    assert_eq!(read(&mut to, 0x10)?.trim(), "0xCAFE0001");
    assert_eq!(read(&mut to, 0x3fc)?.trim(), "0xCAFE0002");
    assert_eq!(read(&mut to, 0x04)?.trim(), "0xCAFE0003");
    to.guest()?.run("vgpu-stub check")?.success()?;
    to.power_off()
}

#[test]
fn a_snapshot_brings_the_device_back() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.boot(Place::Q35, "")?;
    machine.guest()?.wait_ready()?;
    let disk = machine.folder().join("snapshot.qcow2");
    snapshot_disk(&mut machine, &disk)?;

    let write = |value: &str| format!("{SCRATCH} devmem $((A + 0x10)) 32 {value}");
    machine.guest()?.run(&write("0x11111111"))?.success()?;
    set_property(&mut machine, "status", 0x5555u32)?;
    job(
        &mut machine,
        "snapshot-save",
        json!({ "tag": "s", "vmstate": "disk", "devices": ["disk"] }),
    )?;
    machine.guest()?.run(&write("0x22222222"))?.success()?;
    set_property(&mut machine, "status", 0u32)?;
    machine.guest()?.run("setpci -s 5 0x3c.b=7")?.success()?;

    machine.qmp().execute("stop", Value::Null)?;
    job(
        &mut machine,
        "snapshot-load",
        json!({ "tag": "s", "vmstate": "disk", "devices": ["disk"] }),
    )?;
    machine.qmp().execute("cont", Value::Null)?;
    assert_eq!(property(&mut machine, "request-id")?, 0x1111_1111);
    assert_eq!(property(&mut machine, "status")?, 0x5555);
    Ok(())
}

/// Gives the machine a disk image that can hold snapshots, as node `disk`.
pub(crate) fn snapshot_disk(machine: &mut Machine, path: &Path) -> Result<()> {
    let file = json!({ "driver": "file", "filename": path });
    let mut create = file.clone();
    create["size"] = json!(0);
    job(machine, "blockdev-create", json!({ "options": create }))?;
    let mut node = file;
    node["node-name"] = json!("file");
    machine.qmp().execute("blockdev-add", node)?;
    let options = json!({ "driver": "qcow2", "file": "file", "size": 64 << 20 });
    job(machine, "blockdev-create", json!({ "options": options }))?;
    let node = json!({ "driver": "qcow2", "node-name": "disk", "file": "file" });
    machine.qmp().execute("blockdev-add", node)?;
    Ok(())
}

/// Runs a command that starts a job, and the job to its end.
pub(crate) fn job(machine: &mut Machine, command: &str, mut arguments: Value) -> Result<()> {
    arguments["job-id"] = json!("job");
    machine.qmp().execute(command, arguments)?;
    for _ in 0..600 {
        let jobs = machine.qmp().execute("query-jobs", Value::Null)?;
        if jobs[0]["status"] == "concluded" {
            machine
                .qmp()
                .execute("job-dismiss", json!({ "id": "job" }))?;
            let error = &jobs[0]["error"];
            ensure!(error.is_null(), "{command}: {error}");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("{command} does not end")
}

/// A machine whose device is another one refuses the stream and says why.
#[test]
fn another_device_refuses_the_stream() -> Result<()> {
    let bed = Bed::new()?;
    let mut from = bed.with_device(Place::Pc, "").qtest().start()?;
    let file = from.folder().join("stream");
    saved(&mut from, &file)?;
    for (properties, reason) in [
        (",device-id=0x2222", "Bad config data"),
        (",subsystem-id=0x2222", "Bad config data"),
        (",revision=2", "Bad config data"),
        (",bar0-size=8K", "give both the same size"),
    ] {
        let mut to = bed
            .with_device(Place::Pc, properties)
            .qtest()
            .incoming(&format!("exec:cat {}", file.display()))
            .start()?;
        let status = to.wait_exit(LIMIT)?;
        assert!(!status.success(), "{properties} was taken");
        let log = fs::read_to_string(to.folder().join("qemu-stderr.log"))?;
        assert!(log.contains(reason), "{properties}: {log}");
    }
    Ok(())
}
