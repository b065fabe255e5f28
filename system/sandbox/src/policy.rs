//! What a process may do, as data.

use rustix::process::Resource;

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

/// A system call that is allowed, by its number on x86-64. Several entries of
/// one number allow what any of them does.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub(crate) number: i64,
    pub(crate) argument: Option<Argument>,
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
