//! A module becomes a program.

use vgpu_device_memory::Memory;
use vgpu_ptx::Module;

use crate::decode;
use crate::layout::Layout;
use crate::program::{LoadError, Program};

impl Program {
    /// Gives the variables of `module` a place in `memory`, and decodes its code.
    ///
    /// # Errors
    ///
    /// A form that the table does not have, an operand that it does not take,
    /// or no room. Nothing is then left in `memory`.
    pub fn load(module: &Module<'_>, memory: &mut Memory) -> Result<Self, LoadError> {
        let layout = Layout::new(module, memory)?;
        match decode::module(module, &layout, Err) {
            Ok(decoded) => Ok(Self {
                code: decoded.code,
                bodies: decoded.bodies,
                calls: decoded.calls,
                branches: decoded.branches,
                kernels: decoded.kernels,
                globals: layout.globals,
                race_check: false,
            }),
            Err(error) => {
                layout.free(memory);
                Err(error.into())
            }
        }
    }

    /// Why a module is not taken: an error for each instruction that is not, at
    /// most `most` of them. Nothing where [`load`](Self::load) takes it.
    ///
    /// # Errors
    ///
    /// What keeps it from being looked at: its variables have no room, or a
    /// function is too large.
    pub fn check(
        module: &Module<'_>,
        memory: &mut Memory,
        most: usize,
    ) -> Result<Vec<vgpu_ptx::Error>, LoadError> {
        let layout = Layout::new(module, memory)?;
        let mut errors = Vec::new();
        let looked = decode::module(module, &layout, |error| {
            errors.push(error.clone());
            match errors.len() < most {
                true => Ok(()),
                false => Err(error),
            }
        });
        layout.free(memory);
        match looked {
            Err(error) if errors.is_empty() => Err(error.into()),
            _ => Ok(errors),
        }
    }
}
