//! System calls as data, and the filters made of them.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::{Resource, getpid};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::Error;

/// A system call that is allowed, by its number on x86-64. Several entries of
/// one number allow what any of them does.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    number: i64,
    argument: Option<Argument>,
}

/// An argument that is looked at, in its lower 32 bits: the kernel takes no more
/// of those that a policy names.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// From 0 to 5.
    pub index: u8,
    /// What it has to be.
    pub value: Value,
}

/// What an argument has to be.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// This very number.
    Is(u32),
    /// Without any of these bits.
    Without(u32),
    /// Of the bits of the first number, those of the second and no others.
    Bits(u32, u32),
    /// The process's own number.
    OwnProcess,
}

impl Call {
    /// It is allowed whatever its arguments are.
    #[must_use]
    pub const fn any(number: i64) -> Self {
        Self {
            number,
            argument: None,
        }
    }

    /// It is allowed where the argument `index` is this.
    #[must_use]
    pub const fn when(number: i64, index: u8, value: Value) -> Self {
        Self {
            number,
            argument: Some(Argument { index, value }),
        }
    }
}

impl Argument {
    fn rule(self) -> Result<SeccompRule, BackendError> {
        let (operator, value) = match self.value {
            Value::Is(number) => (SeccompCmpOp::Eq, number),
            Value::Without(bits) => (SeccompCmpOp::MaskedEq(bits.into()), 0),
            Value::Bits(mask, bits) => (SeccompCmpOp::MaskedEq(mask.into()), bits),
            Value::OwnProcess => (SeccompCmpOp::Eq, getpid().as_raw_pid().unsigned_abs()),
        };
        let length = SeccompCmpArgLen::Dword;
        let condition = SeccompCondition::new(self.index, length, operator, value.into())?;
        SeccompRule::new(vec![condition])
    }
}

/// What a process may do in its sandbox.
#[derive(Debug)]
pub struct Policy {
    /// The system calls, in parts that policies share. Any other one ends the
    /// process, all threads of it, by SIGSYS.
    pub calls: &'static [&'static [Call]],
    /// System calls that fail with `ENOSYS`, as the C library does without.
    pub absent: &'static [i64],
    /// The most that it may have of a resource, by the resource's own unit. One
    /// that has less keeps that.
    pub limits: &'static [(Resource, u64)],
}

impl Policy {
    /// How many system calls it allows, whatever of each: for reports.
    #[must_use]
    pub fn count(&self) -> usize {
        let calls = self.calls.iter().copied().flatten();
        calls.map(|call| call.number).collect::<BTreeSet<_>>().len()
    }
}

/// The filters of a policy, in the order in which they are to be put in place.
/// The kernel asks all of them, and the severest answer holds.
pub(crate) fn filters(policy: &Policy) -> Result<Vec<BpfProgram>, Error> {
    let compile = || {
        let absent = calls_alone(policy.absent);
        let mut allowed = absent.clone();
        for Call { number, argument } in policy.calls.iter().copied().flatten() {
            let rules: &mut Vec<_> = allowed.entry(*number).or_default();
            rules.extend(argument.map(Argument::rule).transpose()?);
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
