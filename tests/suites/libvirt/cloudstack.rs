//! What `vgpu-stub cloudstack` gives to VMs on KVM, in a domain as CloudStack's agent makes it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bed::{Vm, host};
use crate::common::environment;
use crate::isolation::serve;
use crate::page;

/// The extra configuration that a new VM gets, as it is in the VM's details: decoded.
fn extra_config(arguments: &[&str]) -> Result<String> {
    let output = Command::new(environment("VGPU_STUB_PROGRAMS")?.join("vgpu-stub"))
        .args([
            "cloudstack",
            "--hypervisor",
            "kvm",
            "--cloudstack-version",
            "4.22",
            "--json",
        ])
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let plan: Value = serde_json::from_slice(&output.stdout)?;
    let mut steps = plan["steps"].as_array().into_iter().flatten();
    let deploy = steps.find(|step| step["command"] == "deployVirtualMachine");
    let encoded = deploy.and_then(|step| step["parameters"]["extraconfig"].as_str());
    decoded(encoded.context("no extraconfig")?)
}

/// Text without percent-encoding.
fn decoded(text: &str) -> Result<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).context("no two digits")?;
        decoded.push(u8::from_str_radix(digits, 16)?);
        decoded.extend_from_slice(rest.as_bytes());
    }
    Ok(String::from_utf8(decoded)?)
}

/// A domain: the agent's own elements, and the extra configuration at the end of the root.
fn domain(emulator: &str, extra_config: &str) -> String {
    format!(
        "<domain type='kvm'>
…
<devices>
<emulator>{emulator}</emulator>
<controller type='usb' model='none'/>
<memballoon model='none'/>
</devices>
<clock offset='utc'>
</clock>
<on_reboot>restart</on_reboot>
<on_poweroff>destroy</on_poweroff>
<on_crash>destroy</on_crash>
{extra_config}</domain>"
    )
}

/// As the agent does, it makes a domain that is gone when it ends.
fn runs(vm: &mut Vm<'_>, domain: &str) -> Result<()> {
    let xml = vm.write(domain, "pc")?;
    vm.virsh(&format!("create {xml}"))?;
    vm.well(1)?;
    vm.virsh(&format!("destroy {}", vm.name))?;
    let left = vm.virsh("list --all --name")?;
    ensure!(left.trim().is_empty(), "left: {left}");
    Ok(())
}

#[test]
fn the_device_in_qemu() -> Result<()> {
    let qemu = environment("VGPU_STUB_QEMU")?;
    let mut host = host(Some(&qemu))?;
    let emulator = host.folder().join("bin/qemu-system-x86_64");
    let domain = domain(&emulator.display().to_string(), &extra_config(&[])?);
    runs(&mut Vm::new(&mut host, "i-2-3-VM"), &domain)
}

#[test]
fn the_device_by_vfio_user() -> Result<()> {
    let mut host = host(None)?;
    serve(&mut host, "web1", "vgpu-web1")?;
    let socket = "/run/vgpu-stub/web1/vfio-user.sock";
    let label = page::block(page::CLOUDSTACK, "<seclabel")?.replace("NAME", "web1");
    let extra_config = extra_config(&["--vfio-user", socket])? + "\n" + &label;
    let domain = domain("/usr/bin/qemu-system-x86_64", &extra_config);
    runs(&mut Vm::new(&mut host, "i-2-4-VM"), &domain)
}
