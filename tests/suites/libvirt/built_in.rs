//! The device in QEMU.

use anyhow::Result;

use crate::bed::{Vm, host};
use crate::common::environment;
use crate::page;

#[test]
fn the_domain_of_the_book() -> Result<()> {
    let qemu = environment("VGPU_STUB_QEMU")?;
    let mut host = host(Some(&qemu))?;
    let domain = page::block(page::QEMU, "<domain")?;
    let path = host.folder().join("bin").display().to_string();
    let domain = domain.replace("/path/to", &path);
    let mut vm = Vm::new(&mut host, "web1");
    let xml = vm.write(&domain, "pc")?;
    vm.lives(&xml)
}
