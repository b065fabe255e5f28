//! A program's pointers as references, and what else needs unsafe code.
#![allow(unsafe_code)]

mod arguments;
mod functions;
mod host;
mod image;
mod logs;
mod nodes;
mod process;
mod references;

pub(crate) use arguments::{
    Arguments, KernelCall, KernelNode, LaunchConfig, Room, arguments, kernel_node, launch_config,
};
pub(crate) use functions::{HostFunction, SharedOfBlock, StreamFunction};
pub(crate) use host::{CopyCall, CopyEnd, Host, copy_2d, copy_3d, host, lent};
pub(crate) use image::image;
pub(crate) use logs::Logs;
pub(crate) use nodes::{
    Edges, Handles, KernelNodeOut, NodeCall, edges, handles, kernel_node_out, node_of_any_kind,
};
pub(crate) use process::{OfProcess, Page, reserve};
pub(crate) use references::{
    Untyped, bytes, bytes_mut, input, list, list_mut, optional_out, optional_text, out, per_thread,
    text, untyped,
};
