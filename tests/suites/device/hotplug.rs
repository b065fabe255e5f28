//! The device is unplugged from and plugged into a running machine, by QMP.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::bed::{Bed, plug, query_pci};
use crate::common::Place;

fn unplug_and_plug(place: Place) -> Result<()> {
    let mut machine = Bed::new()?.boot(place, "")?;
    machine.guest()?.run("vgpu-stub check")?.success()?;
    for _ in 0..2 {
        machine
            .qmp()
            .execute("device_del", json!({ "id": "vgpu" }))?;
        machine
            .qmp()
            .wait_event("DEVICE_DELETED", Duration::from_secs(60))?;
        assert!(query_pci(&mut machine, "vgpu")?.is_none());
        let listed = machine.guest()?.run("lspci -n -d 1af4:1111")?.success()?;
        assert_eq!(listed, "");

        plug(&mut machine, place)?;
        machine.guest()?.run("vgpu-stub check")?.success()?;
    }
    machine.power_off()
}

#[test]
fn pc_takes_the_device_out_and_in() -> Result<()> {
    unplug_and_plug(Place::Pc)
}

#[test]
fn a_root_port_takes_the_device_out_and_in() -> Result<()> {
    unplug_and_plug(Place::RootPort)
}

/// The root complex of q35 takes no device while it runs: QEMU says so.
#[test]
fn q35_refuses_to_unplug_from_its_root_complex() -> Result<()> {
    let mut machine = Bed::new()?.with_device(Place::Q35, "").start()?;
    let error = machine
        .qmp()
        .execute("device_del", json!({ "id": "vgpu" }))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("does not support hotplugging"),
        "{error:#}"
    );
    Ok(())
}
