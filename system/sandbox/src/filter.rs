//! The filters that are made of a policy.

use std::collections::BTreeMap;

use rustix::process::getpid;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::{Argument, Call, Error, Policy, Value};

fn rule(argument: Argument) -> Result<SeccompRule, BackendError> {
    let (operator, value) = match argument.value {
        Value::Is(number) => (SeccompCmpOp::Eq, number),
        Value::Without(bits) => (SeccompCmpOp::MaskedEq(bits.into()), 0),
        Value::Bits(mask, bits) => (SeccompCmpOp::MaskedEq(mask.into()), bits),
        Value::OwnProcess => (SeccompCmpOp::Eq, getpid().as_raw_pid().unsigned_abs()),
    };
    let length = SeccompCmpArgLen::Dword;
    let condition = SeccompCondition::new(argument.index, length, operator, value.into())?;
    SeccompRule::new(vec![condition])
}

/// The filters of a policy, in the order in which they are to be put in place.
/// The kernel asks all of them, and the severest answer holds.
pub(crate) fn filters(policy: &Policy) -> Result<Vec<BpfProgram>, Error> {
    let compile = || {
        let absent = calls_alone(policy.absent);
        let mut allowed = absent.clone();
        for Call { number, argument } in policy.calls.iter().copied().flatten() {
            let rules: &mut Vec<_> = allowed.entry(*number).or_default();
            rules.extend(argument.map(rule).transpose()?);
        }
        let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let mut filters = Vec::new();
        if !absent.is_empty() {
            filters.push(filter(absent, SeccompAction::Allow, missing)?);
        }
        let end = SeccompAction::KillProcess;
        filters.push(filter(allowed, end, SeccompAction::Allow)?);
        Ok(filters)
    };
    compile().map_err(|error: BackendError| seccompiler::Error::from(error).into())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn calls_alone(numbers: &[i64]) -> Rules {
    numbers.iter().map(|&number| (number, Vec::new())).collect()
}

fn filter(
    rules: Rules,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, others, these, TargetArch::x86_64)?.try_into()
}
