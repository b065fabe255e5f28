//! Where variables lie.

use vgpu_device_memory::Memory;
use vgpu_ptx::{
    Error, ErrorKind, Function, Initializer, Linkage, Module, Position, Space, Symbol, Variable,
    shortened,
};

use crate::execution::{CODE_WINDOW, SHARED_WINDOW};
use crate::instruction::{Operand, Space as Access};
use crate::program::{Global, LoadError, Parameter, Slot};

/// The most local memory of one thread, in bytes, over all calls.
pub(crate) const LOCAL_MAX: u32 = 64 << 10;
/// The most registers of one thread, over all calls.
pub(crate) const REGISTERS_MAX: u32 = 1 << 16;
/// The most shared memory of a block, in bytes: that of the largest devices.
pub(crate) const SHARED_MAX: u32 = 227 << 10;
/// The most of it that a module's code declares; more is a launch's to ask for. Source: CUDA C++ Programming Guide,
/// "Technical Specifications per Compute Capability".
const DECLARED_SHARED_MAX: u32 = 48 << 10;
/// The most bytes of parameters. Source: PTX ISA 7.1, since 8.1.
const PARAMETERS_MAX: u32 = 32764;

/// Where a symbol lies, as an access and as a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) space: Access,
    pub(crate) operand: Operand,
}

#[derive(Debug, Clone, Copy)]
enum Home {
    Memory(u64),
    Shared(u32),
    DynamicShared,
    Local(u32),
    Parameter(u32),
}

/// The variables of one function.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    variables: Vec<Home>,
    parameters: Vec<Home>,
    returns: Vec<Home>,
    pub(crate) local: u32,
    pub(crate) shared: u32,
    pub(crate) parameter_size: u32,
}

/// The variables of a module.
#[derive(Debug)]
pub(crate) struct Layout {
    variables: Vec<Home>,
    frames: Vec<Frame>,
    pub(crate) globals: Vec<(String, Global)>,
}

/// Gives out offsets up to a limit.
struct Offsets {
    next: u32,
    limit: u32,
    what: &'static str,
}

impl Offsets {
    fn place(&mut self, variable: &Variable<'_>) -> Result<u32, Error> {
        let start = self.next.checked_next_multiple_of(variable.align);
        let size = u32::try_from(variable.size).ok();
        let end = start
            .zip(size)
            .and_then(|(start, size)| start.checked_add(size));
        match (start, end) {
            (Some(start), Some(end)) if end <= self.limit => {
                self.next = end;
                Ok(start)
            }
            _ => {
                let (what, limit) = (self.what, u64::from(self.limit));
                Err(at(variable.position, ErrorKind::TooLarge { what, limit }))
            }
        }
    }
}

fn at(position: Position, kind: ErrorKind) -> Error {
    Error { position, kind }
}

fn local_offsets() -> Offsets {
    Offsets {
        next: 0,
        limit: LOCAL_MAX,
        what: "bytes of local memory",
    }
}

impl Layout {
    /// Places all variables, those of the device in `memory` with their first values.
    pub(crate) fn new(module: &Module<'_>, memory: &mut Memory) -> Result<Self, LoadError> {
        let mut layout = Self {
            variables: Vec::new(),
            frames: Vec::new(),
            globals: Vec::new(),
        };
        match layout.fill(module, memory) {
            Ok(()) => Ok(layout),
            Err(error) => {
                layout.free(memory);
                Err(error)
            }
        }
    }

    pub(crate) fn free(&self, memory: &mut Memory) {
        for (_, global) in &self.globals {
            let _ = memory.free(global.address);
        }
    }

    fn fill(&mut self, module: &Module<'_>, memory: &mut Memory) -> Result<(), LoadError> {
        let mut shared = Offsets {
            next: 0,
            limit: DECLARED_SHARED_MAX,
            what: "bytes of declared shared memory",
        };
        for variable in &module.variables {
            let home = match variable.space {
                Space::Shared => shared_home(variable, &mut shared)?,
                Space::Global | Space::Constant if variable.linkage == Linkage::Extern => {
                    let what = format!("the undefined variable `{}`", shortened(variable.name));
                    return Err(at(variable.position, ErrorKind::Unsupported(what)).into());
                }
                Space::Global | Space::Constant => {
                    let size = variable.size.max(1);
                    let address = memory.alloc(size)?;
                    let size = variable.size;
                    let global = Global { address, size };
                    self.globals.push((variable.name.to_owned(), global));
                    Home::Memory(address)
                }
                _ => {
                    let what = "local memory outside a function".into();
                    return Err(at(variable.position, ErrorKind::Unsupported(what)).into());
                }
            };
            self.variables.push(home);
        }
        // What functions declare may be in use by any kernel; a kernel's own is its own.
        for function in &module.functions {
            let frame = Frame::new(function, &mut shared, !function.entry)?;
            self.frames.push(frame);
        }
        for (frame, function) in self.frames.iter_mut().zip(&module.functions) {
            if function.entry {
                let mut own = Offsets { ..shared };
                *frame = Frame::new(function, &mut own, true)?;
                frame.shared = own.next;
            }
        }
        for (variable, home) in module.variables.iter().zip(&self.variables) {
            if let Home::Memory(address) = home {
                self.initialize(variable, *address, memory);
            }
        }
        Ok(())
    }

    fn initialize(&self, variable: &Variable<'_>, address: u64, memory: &Memory) {
        let size = usize::from(variable.ty.size());
        let mut bytes = Vec::new();
        for value in &variable.initializer {
            let bits = match value {
                Initializer::Bits(bits) => *bits,
                Initializer::Address(symbol, offset) => {
                    self.constant(*symbol).wrapping_add_signed(*offset)
                }
            };
            bytes.extend_from_slice(&bits.to_le_bytes()[..size]);
        }
        // The initializer was checked against the variable.
        let _ = memory.write(address, &bytes);
    }

    /// A symbol of the module as a generic address.
    fn constant(&self, symbol: Symbol) -> u64 {
        match symbol {
            Symbol::Code(index) => CODE_WINDOW | u64::from(index),
            Symbol::Module(index) => match self.variables.get(index as usize) {
                Some(Home::Memory(address)) => *address,
                Some(Home::Shared(offset)) => SHARED_WINDOW | u64::from(*offset),
                _ => 0,
            },
            _ => 0,
        }
    }

    pub(crate) fn frame(&self, function: usize) -> &Frame {
        &self.frames[function]
    }

    /// Where a symbol that `function` names lies, `offset` bytes on.
    pub(crate) fn place(&self, function: usize, symbol: Symbol, offset: i64) -> Placed {
        let frame = &self.frames[function];
        let home = match symbol {
            Symbol::Module(index) => self.variables.get(index as usize),
            Symbol::Function(index) => frame.variables.get(index as usize),
            Symbol::Parameter(index) => frame.parameters.get(index as usize),
            Symbol::Return(index) => frame.returns.get(index as usize),
            Symbol::Code(index) => {
                let operand = Operand::Bits(CODE_WINDOW | u64::from(index));
                let space = Access::Generic;
                return Placed { space, operand };
            }
        };
        let add = |base: u32| base.wrapping_add_signed(offset as i32);
        let (space, operand) = match home.copied() {
            Some(Home::Memory(base)) => (
                Access::Global,
                Operand::Bits(base.wrapping_add_signed(offset)),
            ),
            Some(Home::Shared(base)) => (Access::Shared, Operand::Bits(u64::from(add(base)))),
            Some(Home::DynamicShared) => (Access::Shared, Operand::DynamicShared(add(0))),
            Some(Home::Local(base)) => (Access::Local, Operand::Local(add(base))),
            Some(Home::Parameter(base)) => (Access::Parameter, Operand::Bits(u64::from(add(base)))),
            None => (Access::Generic, Operand::Bits(0)),
        };
        Placed { space, operand }
    }
}

fn shared_home(variable: &Variable<'_>, shared: &mut Offsets) -> Result<Home, Error> {
    if variable.linkage == Linkage::Extern || variable.array && variable.size == 0 {
        return Ok(Home::DynamicShared);
    }
    Ok(Home::Shared(shared.place(variable)?))
}

impl Frame {
    fn new(function: &Function<'_>, shared: &mut Offsets, share: bool) -> Result<Self, Error> {
        let mut frame = Self::default();
        let mut local = local_offsets();
        let mut block = Offsets {
            next: 0,
            limit: PARAMETERS_MAX,
            what: "bytes of parameters",
        };
        for parameter in &function.parameters {
            frame.parameters.push(match function.entry {
                true => Home::Parameter(block.place(parameter)?),
                false => Home::Local(local.place(parameter)?),
            });
        }
        for parameter in &function.returns {
            frame.returns.push(Home::Local(local.place(parameter)?));
        }
        for variable in &function.variables {
            frame.variables.push(match variable.space {
                Space::Shared if share => shared_home(variable, shared)?,
                Space::Shared => Home::Shared(0),
                _ => Home::Local(local.place(variable)?),
            });
        }
        frame.local = local.next;
        frame.parameter_size = block.next;
        Ok(frame)
    }

    fn slots(homes: &[Home], variables: &[Variable<'_>]) -> Vec<Slot> {
        let slot = |(home, variable): (&Home, &Variable<'_>)| Slot {
            offset: match home {
                Home::Local(offset) | Home::Parameter(offset) => *offset,
                _ => 0,
            },
            size: variable.size as u32,
        };
        homes.iter().zip(variables).map(slot).collect()
    }

    pub(crate) fn parameter_slots(&self, function: &Function<'_>) -> Vec<Slot> {
        Self::slots(&self.parameters, &function.parameters)
    }

    pub(crate) fn return_slots(&self, function: &Function<'_>) -> Vec<Slot> {
        Self::slots(&self.returns, &function.returns)
    }

    /// The parameters as the host sees them.
    pub(crate) fn parameters(&self, function: &Function<'_>) -> Vec<Parameter> {
        let slots = self.parameter_slots(function).into_iter();
        slots
            .zip(&function.parameters)
            .map(|(slot, variable)| Parameter {
                offset: slot.offset,
                size: slot.size,
                align: variable.align,
            })
            .collect()
    }
}
