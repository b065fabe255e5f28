//! The driver API's functions, by their names. Exported symbols have checked
//! pointers for null; what a function's class is, the description says.
#![forbid(unsafe_code)]
#![allow(non_snake_case, clippy::similar_names, clippy::too_many_arguments)]

mod addresses;
mod callbacks;
mod capture;
mod contexts;
mod copies;
mod current;
mod devices;
mod events;
mod executables;
mod functions;
mod graphs;
mod launches;
mod links;
mod managed;
mod mappings;
mod memory;
mod modules;
mod nodes;
mod occupancy;
mod pools;
mod profiler;
mod rows;
mod sharing;
mod start;
mod streams;
mod words;

pub(crate) use addresses::*;
pub(crate) use callbacks::*;
pub(crate) use capture::*;
pub(crate) use contexts::*;
pub(crate) use copies::*;
pub(crate) use devices::*;
pub(crate) use events::*;
pub(crate) use executables::*;
pub(crate) use functions::*;
pub(crate) use graphs::*;
pub(crate) use launches::*;
pub(crate) use links::*;
pub(crate) use managed::*;
pub(crate) use mappings::*;
pub(crate) use memory::*;
pub(crate) use modules::*;
pub(crate) use nodes::*;
pub(crate) use occupancy::*;
pub(crate) use pools::*;
pub(crate) use profiler::*;
pub(crate) use rows::*;
pub(crate) use sharing::*;
pub(crate) use start::*;
pub(crate) use streams::*;
pub(crate) use words::*;
