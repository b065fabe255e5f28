//! Calls of a module, decoded: which function, and what is handed over.

use vgpu_ptx::{Instruction as Source, Operand as Written, Symbol, shortened};

use crate::decode::Decoder;
use crate::instruction::Operand;
use crate::program::{Call, Passed, Slot};

impl Decoder<'_, '_> {
    /// A call's place in the list of calls.
    pub(crate) fn call(&mut self, source: &Source<'_>) -> Result<u32, String> {
        let (results, rest) = match source.operands.split_first() {
            Some((Written::List(results), rest)) => (results.as_slice(), rest),
            _ => (&[][..], source.operands.as_slice()),
        };
        let Some((target, rest)) = rest.split_first() else {
            return Err("no function".into());
        };
        let arguments = match rest {
            [] => &[][..],
            [Written::List(arguments)] => arguments.as_slice(),
            _ => return Err("no list of arguments".into()),
        };
        let target = match target {
            Written::Symbol(Symbol::Code(index), 0) => {
                let callee = &self.module.functions[*index as usize];
                let builtin = matches!(callee.name, "__assertfail" | "vprintf");
                if !callee.defined && !builtin {
                    return Err(format!("nothing defines `{}`", shortened(callee.name)));
                }
                if callee.parameters.len() != arguments.len()
                    || callee.returns.len() != results.len()
                {
                    return Err(format!(
                        "`{}` takes other arguments",
                        shortened(callee.name)
                    ));
                }
                self.layout
                    .place(self.index, Symbol::Code(*index), 0)
                    .operand
            }
            Written::Register(index) => match self.register(*index).0 {
                operand @ Operand::Wide(_) => operand,
                _ => return Err("a function's address in fewer than 64 bits".into()),
            },
            _ => return Err("no function".into()),
        };
        let call = Call {
            target,
            arguments: self.passed(arguments)?,
            results: self.passed(results)?,
        };
        self.calls.push(call);
        Ok(self.calls.len() as u32 - 1)
    }

    fn passed(&self, list: &[Written<'_>]) -> Result<Vec<Passed>, String> {
        let one = |written: &Written<'_>| match written {
            Written::Symbol(symbol, 0) => {
                let variable = match symbol {
                    Symbol::Function(index) => self.function.variables.get(*index as usize),
                    Symbol::Parameter(index) => self.function.parameters.get(*index as usize),
                    Symbol::Return(index) => self.function.returns.get(*index as usize),
                    _ => None,
                };
                let placed = self.layout.place(self.index, *symbol, 0);
                match (placed.operand, variable) {
                    (Operand::Local(offset), Some(variable)) => Ok(Passed::Memory(Slot {
                        offset,
                        size: variable.size as u32,
                    })),
                    _ => Err("an argument that is no parameter of this function".to_string()),
                }
            }
            Written::Register(index) => {
                let (operand, register) = self.register(*index);
                Ok(Passed::Value(operand, u32::from(register.ty.size())))
            }
            _ => Err("an argument that is neither a parameter nor a register".to_string()),
        };
        list.iter().map(one).collect()
    }
}
