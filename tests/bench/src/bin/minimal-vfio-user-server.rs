//! The yardstick: the least that makes a device of the crate `vfio_user`. Config space and BAR0 are plain storage.
//!
//! It takes the arguments of `vgpu-stub vfio-user` and says the same when it is ready, so one can stand in for the
//! other.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_NUM_IRQS,
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
    vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};
use vgpu_abi::ids;
use vgpu_terminal::Failure;

const CONFIG_SIZE: usize = 4096;
const BAR0_SIZE: usize = 4096;
/// Config offset of BAR0, a 32-bit memory BAR.
const BAR0: usize = 0x10;

/// Serves a device of plain storage to one VM
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Serve it by vfio-user
    VfioUser {
        /// The socket that QEMU connects to
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::VfioUser { socket } = Command::parse();
    match serve(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.with_code(1).report(),
    }
}

fn serve(socket: &std::path::Path) -> Result<(), Failure> {
    let server = Server::new(socket, true, interrupts(), regions()).map_err(|error| {
        Failure::new(
            format!("cannot serve on {}: {error}", socket.display()),
            "choose a path that is free, in a folder that you can write to",
        )
    })?;
    println!("vgpu-stub vfio-user: ready on {}", socket.display());
    server.run(&mut Storage::new()).map_err(|error| {
        Failure::new(
            format!("the connection failed: {error}"),
            "see what QEMU says",
        )
    })
}

/// Config space and BAR0.
struct Storage {
    config: [u8; CONFIG_SIZE],
    bar0: [u8; BAR0_SIZE],
}

impl Storage {
    fn new() -> Self {
        let mut config = [0; CONFIG_SIZE];
        for (offset, value) in [
            (0x00, ids::VENDOR_ID),
            (0x02, ids::DEVICE_ID),
            (0x2c, ids::SUBSYSTEM_VENDOR_ID),
            (0x2e, ids::SUBSYSTEM_ID),
        ] {
            config[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
        }
        let class_and_revision = ids::CLASS_CODE << 8 | u32::from(ids::REVISION);
        config[0x08..0x0c].copy_from_slice(&class_and_revision.to_le_bytes());
        Self {
            config,
            bar0: [0; BAR0_SIZE],
        }
    }

    fn part(&mut self, region: u32, offset: u64, size: usize) -> io::Result<&mut [u8]> {
        let storage: &mut [u8] = match region {
            VFIO_PCI_CONFIG_REGION_INDEX => &mut self.config,
            VFIO_PCI_BAR0_REGION_INDEX => &mut self.bar0,
            _ => &mut [],
        };
        usize::try_from(offset)
            .ok()
            .and_then(|offset| storage.get_mut(offset..)?.get_mut(..size))
            .ok_or_else(|| ErrorKind::InvalidInput.into())
    }
}

impl ServerBackend for Storage {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        data.copy_from_slice(self.part(region, offset, data.len())?);
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.part(region, offset, data.len())?.copy_from_slice(data);
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            // The address bits below BAR0's size are 0: so it is sized.
            self.config[BAR0] = 0;
            self.config[BAR0 + 1] &= 0xf0;
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _: DmaMapFlags,
        _: u64,
        _: u64,
        _: u64,
        _: Option<File>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn dma_unmap(&mut self, _: DmaUnmapFlags, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        *self = Self::new();
        Ok(())
    }

    fn set_irqs(&mut self, _: u32, _: u32, _: u32, _: u32, _: Vec<File>) -> io::Result<()> {
        Ok(())
    }
}

fn regions() -> Vec<ServerRegion> {
    let region = |index| {
        let size = match index {
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SIZE,
            VFIO_PCI_BAR0_REGION_INDEX => BAR0_SIZE,
            _ => 0,
        };
        let flags = match size {
            0 => 0,
            _ => VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
        };
        ServerRegion {
            region_info: vfio_region_info {
                argsz: size_of::<vfio_region_info>() as u32,
                flags,
                index,
                size: size as u64,
                ..Default::default()
            },
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

fn interrupts() -> Vec<IrqInfo> {
    let none = |index| IrqInfo {
        index,
        flags: 0,
        count: 0,
    };
    (0..VFIO_PCI_NUM_IRQS).map(none).collect()
}
