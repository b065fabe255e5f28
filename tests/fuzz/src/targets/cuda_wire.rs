//! A program's records, and the descriptions of modules that come back, as any
//! bytes.

use vgpu_cuda_wire::{ModuleDescription, OPERATIONS, fuzz};

use crate::Input;

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.u8() {
        0 => {
            let rest = input.rest();
            if let Some(described) = ModuleDescription::decode(rest) {
                let again = ModuleDescription::decode(&described.encode());
                assert_eq!(again.as_ref(), Some(&described));
            }
        }
        1 => {
            let (op, length) = (input.u16(), input.u32());
            fuzz(op, length, input.rest());
        }
        // One of those that there are.
        _ => {
            let op = OPERATIONS[usize::from(input.u8()) % OPERATIONS.len()].0;
            let length = input.u16().into();
            fuzz(op, length, input.rest());
        }
    }
}
