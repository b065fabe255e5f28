//! The test bed itself: real machines, a real guest, and what goes wrong with them.
//!
//! `VGPU_STUB_QEMU` names the QEMU to run.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use vgpu_bed::cache::Cache;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::qmp::QmpError;
use vgpu_bed::qtest::PciAddress;
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;

/// What every test here needs.
struct Bed {
    qemu: PathBuf,
    cache: Cache,
    steps: Steps,
    firmware: Firmware,
    image: GuestImage,
}

impl Bed {
    fn new() -> Result<Self> {
        Self::with(|cache, steps| {
            let qemu = env::var_os("VGPU_STUB_QEMU").context("VGPU_STUB_QEMU names no QEMU")?;
            Ok((qemu.into(), Firmware::seabios(cache, steps)?))
        })
    }

    fn with_stock_qemu() -> Result<Self> {
        Self::with(|cache, steps| {
            let qemu = StockQemu::fetch(cache, steps)?;
            Ok((qemu.path, Firmware::own()))
        })
    }

    fn with(qemu: impl FnOnce(&Cache, &Steps) -> Result<(PathBuf, Firmware)>) -> Result<Self> {
        let cache = Cache::open()?;
        let steps = Steps::new(&cache.dir("logs/tests")?)?;
        let (qemu, firmware) = qemu(&cache, &steps)?;
        let image = GuestImage::assemble(&cache, &[], &steps)?;
        Ok(Self {
            qemu,
            cache,
            steps,
            firmware,
            image,
        })
    }

    fn machine(&self, machine: MachineType) -> MachineBuilder {
        MachineBuilder::new(&self.qemu, machine, &self.firmware)
    }
}

const PC_BRIDGE: &str = "00:00.0 Host bridge [0600]: Intel Corporation 440FX";
const Q35_BRIDGE: &str = "00:00.0 Host bridge [0600]: Intel Corporation 82G33";

fn boots(bed: &Bed, machine: MachineBuilder, bridge: &str) -> Result<()> {
    let mut machine = machine.image(&bed.image).start()?;
    let folder = machine.folder().to_path_buf();
    let release = machine.guest()?.run("uname -r")?.success()?;
    assert!(
        bed.image
            .kernel()
            .ends_with(format!("vmlinuz-{}", release.trim())),
        "{release}"
    );

    let listed = machine.guest()?.run("lspci -nnk")?;
    assert_eq!(listed.stderr, "");
    assert!(listed.success()?.contains(bridge));
    assert!(
        machine
            .guest()?
            .run("/sbin/modprobe pci-pf-stub && lsmod")?
            .success()?
            .contains("pci_pf_stub")
    );

    assert_eq!(
        machine.qmp().execute("query-status", Value::Null)?["status"],
        "running"
    );
    machine.power_off()?;
    drop(machine);
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn pc_boots() -> Result<()> {
    let bed = Bed::new()?;
    boots(&bed, bed.machine(MachineType::Pc), PC_BRIDGE)
}

#[test]
fn q35_boots() -> Result<()> {
    let bed = Bed::new()?;
    boots(&bed, bed.machine(MachineType::Q35), Q35_BRIDGE)
}

#[test]
fn pc_boots_in_a_stock_qemu() -> Result<()> {
    let bed = Bed::with_stock_qemu()?;
    boots(&bed, bed.machine(MachineType::Pc), PC_BRIDGE)
}

#[test]
fn q35_boots_in_a_stock_qemu() -> Result<()> {
    let bed = Bed::with_stock_qemu()?;
    boots(&bed, bed.machine(MachineType::Q35), Q35_BRIDGE)
}

#[test]
fn a_stock_qemu_finds_its_modules() -> Result<()> {
    // Debian has the accelerator for qtest in one.
    let bed = Bed::with_stock_qemu()?;
    let mut machine = bed.machine(MachineType::Pc).qtest().start()?;
    let qtest = machine.qtest()?;
    qtest.memory_write(0x1000, 4, 0x1122_3344)?;
    assert_eq!(qtest.memory_read(0x1002, 2)?, 0x1122);
    Ok(())
}

#[test]
fn memory_can_be_shared() -> Result<()> {
    let bed = Bed::new()?;
    let machine = bed.machine(MachineType::Pc).memory_mib(128);
    let mut machine = machine.shared_memory().qtest().start()?;
    let memory = machine.qmp().execute("query-memdev", Value::Null)?;
    let backends = memory.as_array().context("no list")?;
    assert_eq!(backends.len(), 1, "all of the machine's: {memory}");
    assert_eq!(backends[0]["id"], "memory");
    assert_eq!(
        (&backends[0]["share"], &backends[0]["size"]),
        (&json!(true), &json!(128 << 20))
    );
    Ok(())
}

#[test]
fn uefi_boots() -> Result<()> {
    let bed = Bed::new()?;
    let firmware = Firmware::ovmf(&bed.cache, &bed.steps)?;
    let machine = MachineBuilder::new(&bed.qemu, MachineType::Q35, &firmware);
    let mut machine = machine.image(&bed.image).start()?;
    machine
        .guest()?
        .run("test -d /sys/firmware/efi")?
        .success()?;
    machine.power_off()
}

#[test]
fn commands_keep_their_output_apart() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.machine(MachineType::Pc).image(&bed.image).start()?;
    let guest = machine.guest()?;

    let output = guest.run("echo 'out \"quoted\"'\necho err >&2\nexit 3")?;
    assert_eq!(
        (
            output.status,
            output.stdout.as_str(),
            output.stderr.as_str()
        ),
        (3, "out \"quoted\"\n", "err\n")
    );
    assert_eq!(guest.run("kill -KILL $$")?.status, 137);
    assert_eq!(guest.run("cat")?.success()?, "");
    // All bytes pass the serial line as they are: 7 is the bell, 4 ends a file on a terminal, 13 10 ends lines.
    assert_eq!(
        guest.run(r"printf 'a\007\004\015\012'")?.success()?,
        "a\u{7}\u{4}\r\n"
    );
    let long = "long ".repeat(5000);
    assert_eq!(
        guest.run(&format!("echo '{long}'"))?.success()?,
        format!("{long}\n")
    );
    let numbers = guest.run("seq 20000")?.success()?;
    assert_eq!(
        (numbers.lines().count(), numbers.lines().last()),
        (20000, Some("20000"))
    );

    // A command beyond its time fails, and the next one gets its own answer.
    let error = guest
        .run_within("sleep 3; echo late", Duration::from_millis(100))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("did not run \"sleep 3; echo late\": no answer in time"),
        "{error:#}"
    );
    assert_eq!(guest.run("echo next")?.success()?, "next\n");
    std::fs::remove_dir_all(machine.folder())?;
    Ok(())
}

#[test]
fn a_guest_moves_to_another_machine() -> Result<()> {
    let bed = Bed::new()?;
    let mut from = bed.machine(MachineType::Pc).image(&bed.image).start()?;
    from.guest()?.run("echo here >/run/here")?.success()?;

    let uri = format!("unix:{}", from.folder().join("migration.sock").display());
    let mut to = bed
        .machine(MachineType::Pc)
        .image(&bed.image)
        .incoming(&uri)
        .start()?;
    from.qmp().execute("migrate", json!({ "uri": uri }))?;
    to.qmp().wait_event("RESUME", Duration::from_secs(60))?;
    assert_eq!(to.guest()?.run("cat /run/here")?.success()?, "here\n");
    assert_eq!(
        from.qmp().execute("query-status", Value::Null)?["status"],
        "postmigrate"
    );
    Ok(())
}

#[test]
fn devices_come_and_go() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed.machine(MachineType::Pc).image(&bed.image).start()?;
    machine.guest()?.wait_ready()?;
    let add = json!({ "driver": "virtio-rng-pci", "id": "dev", "addr": "7" });
    machine.qmp().execute("device_add", add.clone())?;
    let refusal = machine.qmp().execute("device_add", add).unwrap_err();
    assert!(refusal.downcast_ref::<QmpError>().is_some(), "{refusal:#}");
    assert!(machine.qmp().human("info pci")?.contains("1af4:1005"));

    let appears = "for i in $(seq 100); do lspci -s 7 | grep . && exit; sleep 0.1; done; exit 1";
    machine.guest()?.run(appears)?.success()?;
    machine
        .qmp()
        .execute("device_del", json!({ "id": "dev" }))?;
    let deleted = machine
        .qmp()
        .wait_event("DEVICE_DELETED", Duration::from_secs(60))?;
    assert!(deleted["path"].is_string(), "{deleted}");
    assert_eq!(machine.guest()?.run("lspci -s 7")?.success()?, "");
    Ok(())
}

#[test]
fn qtest_reaches_ports_memory_and_config_space() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed
        .machine(MachineType::Pc)
        .device("virtio-rng-pci,addr=7")
        .qtest()
        .start()?;
    let qtest = machine.qtest()?;
    let mut config = qtest.config_ports(PciAddress {
        bus: 0,
        device: 7,
        function: 0,
    });
    assert_eq!(config.read(0, 4)?, 0x1005_1af4);
    assert_eq!(config.read(2, 2)?, 0x1005);
    assert_eq!(config.read(1, 1)?, 0x1a);
    config.write(0x3c, 1, 0x5a)?;
    assert_eq!(config.read(0x3c, 2)? & 0xff, 0x5a);

    qtest.memory_write(0x1000, 8, 0x1122_3344_5566_7788)?;
    assert_eq!(qtest.memory_read(0x1002, 2)?, 0x5566);
    assert!(qtest.port_read(0x80, 8).is_err());
    Ok(())
}

#[test]
fn a_refused_device_is_an_error_with_qemus_reason() -> Result<()> {
    let bed = Bed::new()?;
    let error = bed
        .machine(MachineType::Pc)
        .device("virtio-rng-pci,period=oops")
        .start()
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("QEMU ended (exit status: 1)") && text.contains("period"),
        "{text}"
    );
    Ok(())
}

#[test]
fn the_console_takes_what_is_typed() -> Result<()> {
    // Nothing to boot: SeaBIOS prints to its console and waits.
    let bed = Bed::new()?;
    let mut machine = bed.machine(MachineType::Pc).image(&bed.image).start()?;
    machine.guest()?.wait_ready()?;
    // The guest's first process has the console as its standard input.
    machine.type_text("typed\n")?;
    assert_eq!(
        machine.guest()?.run("head -n 1 </dev/console")?.success()?,
        "typed\n"
    );
    Ok(())
}
