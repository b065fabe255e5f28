//! The device in a process of its own.

use anyhow::Result;

use crate::bed::{Vm, host};
use crate::page;

#[test]
fn the_domain_of_the_book() -> Result<()> {
    let mut host = host(None)?;
    crate::isolation::serve(&mut host, "web1", "vgpu-web1")?;
    let mut vm = Vm::new(&mut host, "web1");
    let xml = vm.write(&page::block(page::VFIO_USER, "<domain")?, "q35")?;
    vm.lives(&xml)
}
