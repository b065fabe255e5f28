//! The driver API's functions, by their names. Exported symbols have checked
//! pointers for null; what a function's class is, the description says.
#![forbid(unsafe_code)]
#![allow(non_snake_case, clippy::similar_names, clippy::too_many_arguments)]

mod capture;
mod contexts;
mod copies;
mod current;
mod devices;
mod graphs;
mod launches;
mod links;
mod memory;
mod modules;
mod pools;
mod start;
mod streams;

pub(crate) use capture::*;
pub(crate) use contexts::*;
pub(crate) use copies::*;
pub(crate) use devices::*;
pub(crate) use graphs::*;
pub(crate) use launches::*;
pub(crate) use links::*;
pub(crate) use memory::*;
pub(crate) use modules::*;
pub(crate) use pools::*;
pub(crate) use start::*;
pub(crate) use streams::*;
