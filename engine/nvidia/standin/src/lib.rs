//! A stand-in of NVIDIA's driver library: the functions that the engine calls,
//! on the interpreter of this project, as a GPU cannot be had in CI.
//!
//! It is stricter than a driver where that finds faults of the engine: memory
//! is there only where it was mapped and made accessible, handles are known or
//! refused, blocks of parameters have the kernel's length, and what was given
//! back is counted. It shows nothing of how NVIDIA's driver behaves beyond what
//! the driver API states.
//!
//! The environment says how it differs, for tests of what follows:
//! `STANDIN_HINT=ignored` reserves other addresses than asked for;
//! `STANDIN_TRIES=1` has `cuMemGetInfo` try whether a sandbox is in force, and
//! `STANDIN_TRIES=ioctl` make one that no driver makes.
#![allow(non_snake_case)]

mod exports;
mod state;
mod tries;
