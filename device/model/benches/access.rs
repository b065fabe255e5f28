//! What a guest access costs in the model.
//!
//! `cargo bench -p vgpu-device`. The yardstick is a bounds-checked array read
//! through the same dynamic call; only the ratio says something.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;

/// What accesses reach, as an attachment calls it: the size is known when the access comes.
trait Space {
    fn read(&mut self, offset: u16, size: usize) -> u64;
    fn write(&mut self, offset: u16, size: usize, value: u64);
}

struct Bar0(Device);

impl Space for Bar0 {
    fn read(&mut self, offset: u16, size: usize) -> u64 {
        self.0.bar0_read(offset.into(), size).unwrap_or(0)
    }
    fn write(&mut self, offset: u16, size: usize, value: u64) {
        let _ = self.0.bar0_write(offset.into(), size, value);
    }
}

struct Config(Device);

impl Space for Config {
    fn read(&mut self, offset: u16, size: usize) -> u64 {
        let mut data = [0; 8];
        self.0.config_read(offset, &mut data[..size]);
        u64::from_le_bytes(data)
    }
    fn write(&mut self, offset: u16, size: usize, value: u64) {
        let _ = self.0.config_write(offset, &value.to_le_bytes()[..size]);
    }
}

struct Array([u32; 1024]);

impl Space for Array {
    fn read(&mut self, offset: u16, _size: usize) -> u64 {
        let word = self.0.get(usize::from(offset / 4)).copied();
        word.unwrap_or(0).into()
    }
    fn write(&mut self, offset: u16, _size: usize, value: u64) {
        if let Some(word) = self.0.get_mut(usize::from(offset / 4)) {
            *word = value as u32;
        }
    }
}

/// Register and data accesses in turn: what a driver does.
const IN_BAR0: [u16; 8] = [0x04, 0x10, 0x20, 0x04, 0x3fc, 0x00, 0x100, 0x04];
/// What Linux reads and writes when it finds a function: ids, Command, the BAR, the capabilities.
const IN_CONFIG: [u16; 8] = [0x00, 0x04, 0x08, 0x10, 0x2c, 0x34, 0x3c, 0x40];

fn device() -> Device {
    Device::new(&DeviceConfig::default(), PortType::Endpoint)
}

fn compare(c: &mut Criterion, name: &str, device: Box<dyn Space>, offsets: [u16; 8]) {
    let array: Box<dyn Space> = Box::new(Array([0; 1024]));
    for (whose, mut space) in [("array", array), ("device", device)] {
        c.bench_function(&format!("{name} read, 8 dwords: {whose}"), |b| {
            b.iter(|| {
                let space: &mut dyn Space = black_box(&mut *space);
                offsets.map(|offset| space.read(black_box(offset), black_box(4)))
            });
        });
        c.bench_function(&format!("{name} write, 8 dwords: {whose}"), |b| {
            b.iter(|| {
                let space: &mut dyn Space = black_box(&mut *space);
                for offset in offsets {
                    space.write(black_box(offset), black_box(4), black_box(7));
                }
            });
        });
    }
}

fn accesses(c: &mut Criterion) {
    compare(c, "bar0", Box::new(Bar0(device())), IN_BAR0);
    compare(c, "config", Box::new(Config(device())), IN_CONFIG);
}

criterion_group!(benches, accesses);
criterion_main!(benches);
