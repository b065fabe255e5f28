//! The loop against a hypervisor of the tests' own, which checks that no rule
//! of Xen's is broken, and can end everything at any step.

mod accesses;
mod death;
mod fake;
mod life;
mod overlap;
mod sandboxed;
