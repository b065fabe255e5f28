//! The driver on kernels of other releases.

use anyhow::Result;
use vgpu_bed::kernel_module::KERNELS;

use super::{CPU, boot, computes, kernel_is_content, no_worker};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// Computes, before and after the device was reset and bound anew, on each kernel that boots here.
#[test]
#[ignore = "fetches a compiler for each release: cargo xtask soak driver-kernels"]
fn on_kernels_of_other_releases() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Q35;
    // Without backports, whose kernels apt has under names of their own.
    for (release, headers) in KERNELS.iter().filter(|(name, _)| !name.contains('-')) {
        let image = bed.image_with_driver_on(release, headers)?;
        let (_served, mut machine) = boot(&bed, &daemon, place, &image)?;
        println!("Linux {}", image.release());
        computes(&mut machine)?;
        let address = place.address();
        for act in [
            format!("echo 1 >/sys/bus/pci/devices/{address}/reset"),
            format!("echo {address} >/sys/bus/pci/drivers/vgpu/unbind"),
            format!("echo {address} >/sys/bus/pci/drivers/vgpu/bind"),
        ] {
            run(&mut machine, &act)?;
        }
        computes(&mut machine)?;
        no_worker(&daemon)?;
        kernel_is_content(&mut machine)?;
        machine.power_off()?;
    }
    Ok(())
}
