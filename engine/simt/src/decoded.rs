//! What a module is decoded to.

use crate::code::Step;
use crate::program::{Body, Call, Kernel};

#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) code: Vec<Step>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) calls: Vec<Call>,
    pub(crate) branches: Vec<Box<[u32]>>,
    pub(crate) kernels: Vec<Kernel>,
}
