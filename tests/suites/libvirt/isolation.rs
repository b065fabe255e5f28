//! One VM's QEMU does not reach another VM's socket: libvirt runs both as one user.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use vgpu_bed::libvirt::Host;

use crate::bed::{Vm, host};
use crate::page;

const VMS: [&str; 2] = ["web1", "web2"];

fn socket(name: &str) -> String {
    format!("/run/vgpu-stub/{name}/vfio-user.sock")
}

/// Starts the server of a VM, as a user of its own, on a socket for `group`.
pub(crate) fn serve(host: &mut Host, name: &str, group: &str) -> Result<()> {
    let socket = socket(name);
    host.run(&format!(
        "getent group {group} || groupadd --system {group}; \
         useradd --system --no-create-home --gid {group} server-{name} && \
         install -d -o server-{name} -g {group} -m 0710 /run/vgpu-stub/{name}"
    ))?;
    host.run(&format!(
        "setpriv --reuid server-{name} --regid {group} --clear-groups -- \
         vgpu-stub vfio-user --socket {socket} --socket-mode 0660 >/run/{name}.log 2>&1 & \
         timeout 30 sh -c 'until [ -S {socket} ]; do sleep 0.05; done'"
    ))?;
    Ok(())
}

/// The domain of the book, without its label.
fn without_label(domain: &str) -> Result<String> {
    let (before, rest) = domain.split_once("  <seclabel").context("no label")?;
    let (_, after) = rest.split_once("</seclabel>\n").context("no end of it")?;
    Ok(format!("{before}{after}"))
}

/// What the QEMU of `name` says where it is to connect to the socket of another VM, as one that was taken over would.
fn intrude(host: &mut Host, name: &str, other: &str) -> Result<String> {
    let request = json!({ "execute": "device_add", "arguments": {
        "driver": "vfio-user-pci", "id": "stolen", "bus": "pci.3",
        "socket": { "type": "unix", "path": socket(other) },
    }});
    let answer = host.run(&format!("virsh qemu-monitor-command {name} '{request}'"))?;
    let answer: Value = serde_json::from_str(&answer)?;
    let said = answer["error"]["desc"].as_str();
    Ok(said
        .with_context(|| format!("it has connected: {answer}"))?
        .to_owned())
}

/// The points at fault, with their mends.
fn doctor(host: &mut Host, name: &str) -> Result<Vec<Value>> {
    let report = host.run(&format!(
        "vgpu-stub doctor --vm {name} --json || [ $? -eq 1 ]"
    ))?;
    let report: Value = serde_json::from_str(&report)?;
    let points = report["points"].as_array().context("no points")?;
    println!("{name}: {points:#?}");
    Ok(points
        .iter()
        .filter(|point| point["verdict"] == "fault")
        .cloned()
        .collect())
}

#[test]
fn without_a_label_it_does_and_the_doctors_mend_ends_it() -> Result<()> {
    let mut host = host(None)?;
    let domain = without_label(&page::block(page::VFIO_USER, "<domain")?)?;
    for name in VMS {
        // A group of all QEMUs of libvirt's.
        serve(&mut host, name, "kvm")?;
        let mut vm = Vm::new(&mut host, name);
        let xml = vm.write(&domain, "q35")?;
        vm.virsh(&format!("define {xml}"))?;
        vm.virsh(&format!("start {name}"))?;
    }
    // It gets as far as the server, which has its one client.
    let said = intrude(&mut host, "web1", "web2")?;
    ensure!(said.contains("busy"), "{said}");

    for name in VMS {
        let faults = doctor(&mut host, name)?;
        ensure!(
            faults.len() == 1 && faults[0]["id"] == "isolated",
            "{faults:#?}"
        );
        for mend in faults[0]["mend"].as_array().context("no mend")? {
            let line = mend["type"].as_str().context("no line")?;
            println!("host# {line}");
            // This guest has nothing that obeys.
            let line = line.replace("virsh shutdown", "virsh destroy");
            host.run(&line)?;
        }
    }
    for name in VMS {
        let faults = doctor(&mut host, name)?;
        ensure!(faults.is_empty(), "{faults:#?}");
    }
    for (name, other) in [("web1", "web2"), ("web2", "web1")] {
        let said = intrude(&mut host, name, other)?;
        ensure!(said.contains("Permission denied"), "{said}");
    }
    Ok(())
}

/// A label does not help where the socket admits a group that all have.
#[test]
fn a_label_and_a_socket_for_all() -> Result<()> {
    let mut host = host(None)?;
    serve(&mut host, "web1", "kvm")?;
    host.run("groupadd --system vgpu-web1")?;
    let domain = page::block(page::VFIO_USER, "<domain")?;
    let mut vm = Vm::new(&mut host, "web1");
    let xml = vm.write(&domain, "q35")?;
    vm.virsh(&format!("create {xml}"))?;
    let faults = doctor(&mut host, "web1")?;
    ensure!(
        faults.len() == 1 && faults[0]["id"] == "isolated",
        "{faults:#?}"
    );
    let mends = faults[0]["mend"].as_array().context("no mend")?;
    ensure!(mends.len() == 1, "{mends:#?}");
    host.run(mends[0]["type"].as_str().context("no line")?)?;
    let faults = doctor(&mut host, "web1")?;
    ensure!(faults.is_empty(), "{faults:#?}");
    Ok(())
}
