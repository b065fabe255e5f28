//! The text of a module, loaded as the CPU engine loads it.

use vgpu_device_memory::Memory;
use vgpu_simt::Program;

/// Bytes of the device.
const CAPACITY: u64 = 1 << 20;

pub(super) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let module = match vgpu_ptx::parse(text) {
        Ok(module) => module,
        Err(error) => {
            // It names a place in the text.
            let lines = text.lines().count().max(1) + 1;
            assert!((1..=lines as u32).contains(&error.position.line), "{error}");
            return;
        }
    };
    let mut memory = Memory::new(1 << 32, 1 << 40, CAPACITY);
    match Program::load(&module, &mut memory) {
        Ok(program) => {
            for kernel in program.kernels() {
                assert!(program.kernel(&kernel.name).is_some());
            }
            program.unload(&mut memory);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert_eq!(memory.count(), 0, "memory of a module that is not loaded");
}
