//! The targets, one a file.

mod bar0;
mod config;
mod control;
mod cuda_ptx;
mod cuda_ring;
mod cuda_wire;
mod given;
mod link;
mod mailbox;
#[path = "../../../../device/model/tests/reference/mod.rs"]
mod reference;
mod segments;
mod state;
mod vfio_user;
mod xenstore;

/// The function of a target.
pub(crate) fn function(name: &str) -> Option<fn(&[u8])> {
    Some(match name {
        "config" => config::run,
        "bar0" => bar0::run,
        "state" => state::run,
        "xenstore" => xenstore::run,
        "vfio-user" => vfio_user::run,
        "control" => control::run,
        "mailbox" => mailbox::run,
        "segments" => segments::run,
        "link" => link::run,
        "ioreq" => vgpu_xen::fuzz::ioreq,
        "kept" => vgpu_xen::fuzz::kept,
        "cuda-ring" => cuda_ring::run,
        "cuda-wire" => cuda_wire::run,
        "cuda-ptx" => cuda_ptx::run,
        _ => return None,
    })
}
