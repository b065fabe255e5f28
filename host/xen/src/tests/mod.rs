//! The loop against a [Xen of the tests' own](crate::fake), which checks that no rule
//! of Xen's is broken, and can end everything at any step.

mod accesses;
mod death;
mod life;
mod overlap;
mod sandboxed;
mod vcpus;
