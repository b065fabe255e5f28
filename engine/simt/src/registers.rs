//! The registers that an instruction names.

use crate::code::{Action, Flow, Step};
use crate::instruction::Operand;
use crate::program::{Call, Passed};

/// Each register of an instruction, with whether it may be written.
pub(crate) fn visit(step: &Step, calls: &[Call], mut f: impl FnMut(Operand, bool)) {
    let mut f = |operand, written| match operand {
        Operand::Narrow(_) | Operand::Wide(_) | Operand::Predicate(_) => f(operand, written),
        Operand::NotPredicate(index) => f(Operand::Predicate(index), written),
        _ => {}
    };
    f(step.instruction.guard, false);
    for (index, operand) in step.instruction.operands.iter().enumerate() {
        f(*operand, index < step.results);
    }
    let call = match step.action {
        Action::Flow(Flow::Call) => calls.get(step.instruction.target as usize),
        _ => None,
    };
    if let Some(call) = call {
        f(call.target, false);
        for (list, written) in [(&call.arguments, false), (&call.results, true)] {
            for passed in list {
                if let Passed::Value(register, _) = passed {
                    f(*register, written);
                }
            }
        }
    }
}
