//! What a guest access costs in the model.
//!
//! `cargo bench -p vgpu-device`. The yardstick is a bounds-checked array read
//! through the same dynamic call; only the ratio says something.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;

/// A window into memory, as an attachment would hold it.
trait Window {
    fn read(&mut self, offset: u64, size: usize) -> u64;
    fn write(&mut self, offset: u64, size: usize, value: u64);
}

impl Window for Device {
    fn read(&mut self, offset: u64, size: usize) -> u64 {
        self.bar0_read(offset, size)
    }
    fn write(&mut self, offset: u64, size: usize, value: u64) {
        self.bar0_write(offset, size, value);
    }
}

struct Array([u32; 1024]);

impl Window for Array {
    fn read(&mut self, offset: u64, _size: usize) -> u64 {
        let index = usize::try_from(offset / 4).unwrap_or(usize::MAX);
        self.0.get(index).copied().unwrap_or(0).into()
    }
    fn write(&mut self, offset: u64, _size: usize, value: u64) {
        let index = usize::try_from(offset / 4).unwrap_or(usize::MAX);
        if let Some(word) = self.0.get_mut(index) {
            *word = value as u32;
        }
    }
}

/// Register reads and data reads in turn: what a driver does.
const OFFSETS: [u64; 8] = [0x04, 0x10, 0x20, 0x04, 0x3fc, 0x00, 0x100, 0x04];

fn device() -> Device {
    Device::new(&DeviceConfig::default(), PortType::Endpoint)
}

fn bar0(c: &mut Criterion) {
    let windows: [(&str, Box<dyn Window>); 2] = [
        ("array", Box::new(Array([0; 1024]))),
        ("device", Box::new(device())),
    ];
    for (name, mut window) in windows {
        c.bench_function(&format!("bar0 read, 8 dwords: {name}"), |b| {
            b.iter(|| {
                let window: &mut dyn Window = black_box(&mut *window);
                OFFSETS.map(|offset| window.read(black_box(offset), black_box(4)))
            });
        });
        c.bench_function(&format!("bar0 write, 8 dwords: {name}"), |b| {
            b.iter(|| {
                let window: &mut dyn Window = black_box(&mut *window);
                for offset in OFFSETS {
                    window.write(black_box(offset), black_box(4), black_box(7));
                }
            });
        });
    }
}

fn config(c: &mut Criterion) {
    let mut device = device();
    let mut data = [0; 4];
    c.bench_function("config read, 1 dword", |b| {
        b.iter(|| {
            device.config_read(black_box(0x10), &mut data);
            data
        });
    });
    c.bench_function("config write, 1 dword", |b| {
        b.iter(|| device.config_write(black_box(0x10), black_box(&[0, 0x10, 0xbf, 0xfe]), &mut ()));
    });
}

criterion_group!(benches, bar0, config);
criterion_main!(benches);
