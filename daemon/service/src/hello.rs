//! What a worker says of its engine's device.

use vgpu_cuda_wire::{Attribute, Hello, OPERATIONS};
use vgpu_engine::Properties;
use zerocopy::FromZeros;

/// The device's UUID: there is one device of a kind, and it is the same at each
/// start.
const UUID: [u8; 16] = *b"vgpu processors.";

pub(crate) fn hello(properties: &Properties) -> Hello {
    let mut hello = Hello::new_zeroed();
    for &(op, _) in OPERATIONS {
        hello.add(op);
    }
    hello.memory = properties.total_memory;
    hello.uuid = UUID;
    let name = properties.name.as_bytes();
    let length = name.len().min(hello.name.len() - 1);
    hello.name[..length].copy_from_slice(&name[..length]);
    for (Attribute(number), value) in attributes(properties) {
        hello.attributes[number as usize] = i32::try_from(value).unwrap_or(i32::MAX);
    }
    hello
}

fn attributes(properties: &Properties) -> [(Attribute, u32); 25] {
    let [block_x, block_y, block_z] = properties.max_block;
    let [grid_x, grid_y, grid_z] = properties.max_grid;
    let (major, minor) = properties.compute_capability;
    let optin = properties.shared_memory_per_block_optin;
    [
        (
            Attribute::MAX_THREADS_PER_BLOCK,
            properties.max_threads_per_block,
        ),
        (Attribute::MAX_BLOCK_DIM_X, block_x),
        (Attribute::MAX_BLOCK_DIM_Y, block_y),
        (Attribute::MAX_BLOCK_DIM_Z, block_z),
        (Attribute::MAX_GRID_DIM_X, grid_x),
        (Attribute::MAX_GRID_DIM_Y, grid_y),
        (Attribute::MAX_GRID_DIM_Z, grid_z),
        (
            Attribute::MAX_SHARED_MEMORY_PER_BLOCK,
            properties.shared_memory_per_block,
        ),
        (Attribute::TOTAL_CONSTANT_MEMORY, properties.constant_memory),
        (Attribute::WARP_SIZE, properties.warp_size),
        (Attribute::MAX_PITCH, i32::MAX.cast_unsigned()),
        (Attribute::MAX_REGISTERS_PER_BLOCK, 64 << 10),
        (Attribute::CLOCK_RATE, 1_000_000),
        (Attribute::MULTIPROCESSOR_COUNT, properties.multiprocessors),
        (Attribute::MAX_THREADS_PER_MULTIPROCESSOR, 2048),
        (Attribute::UNIFIED_ADDRESSING, 1),
        (Attribute::COMPUTE_CAPABILITY_MAJOR, major),
        (Attribute::COMPUTE_CAPABILITY_MINOR, minor),
        (Attribute::MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, optin),
        (Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, optin),
        (Attribute::MAX_REGISTERS_PER_MULTIPROCESSOR, 64 << 10),
        (Attribute::HOST_REGISTER_SUPPORTED, 1),
        (Attribute::VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1),
        (Attribute::MAX_BLOCKS_PER_MULTIPROCESSOR, 32),
        (Attribute::MEMORY_POOLS_SUPPORTED, 1),
    ]
}
