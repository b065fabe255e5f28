//! What C calls of a device with features. All of it is called from QEMU's main loop, under its big lock.

use vgpu_abi::bar0;

use crate::instance::{VgpuDevice, VgpuTodo};
use crate::memory::{Memory, VgpuMemory};
use crate::sharing::{Sharing, VgpuDoorbell};

/// Interrupt vectors.
pub const VGPU_VECTORS: u16 = 2;
/// The vector of the device's own events.
pub const VGPU_VECTOR_CONTROL: u16 = 0;
/// The vector of all channels.
pub const VGPU_VECTOR_CHANNELS: u16 = 1;
/// Where the table of vectors is in BAR0.
pub const VGPU_MSIX_TABLE: u32 = 0xc00;
/// Where the pending bits are.
pub const VGPU_MSIX_PENDING: u32 = 0xe00;
/// Where doorbells begin, 4 bytes each.
pub const VGPU_DOORBELLS: u32 = 0x800;
/// How many there are.
pub const VGPU_CHANNELS: u16 = 256;
// C needs literals; the values are the ABI's.
const _: () = assert!(
    VGPU_VECTORS == bar0::VECTORS
        && VGPU_MSIX_TABLE as u64 == bar0::MSIX_TABLE.start
        && VGPU_MSIX_PENDING as u64 == bar0::MSIX_PENDING.start
        && VGPU_DOORBELLS as u64 == bar0::DOORBELLS.start
        && VGPU_CHANNELS == bar0::CHANNELS
);

/// Looks for the daemon, where there is to be one and is none, and for ends of workers that no daemon tells of. To be called
/// from time to time where there is no daemon, or [`vgpu_is_settling`]. Does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_connect(device: &mut VgpuDevice) -> VgpuTodo {
    device.connect()
}

/// Whether workers are about to end, which [`vgpu_connect`] finds out.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_is_settling(device: &VgpuDevice) -> bool {
    device.sharing.as_ref().is_some_and(Sharing::is_settling)
}

/// The descriptor to watch for what the daemon says, by [`vgpu_hear`]; -1 where there is no daemon. It is open until
/// [`vgpu_unwatched`], also where the daemon is gone.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_watched(device: &VgpuDevice) -> i32 {
    let watched = device.sharing.as_ref().and_then(Sharing::watched);
    watched.unwrap_or(-1)
}

/// No descriptor but that of [`vgpu_watched`] is watched for a daemon.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_unwatched(device: &mut VgpuDevice) {
    if let Some(sharing) = &mut device.sharing {
        sharing.unwatched();
    }
}

/// Takes what the daemon has said.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_hear(device: &mut VgpuDevice) -> VgpuTodo {
    device.hear()
}

/// The descriptor to watch for [`vgpu_is_raised`]; -1 where there is none.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_raised(device: &VgpuDevice) -> i32 {
    device.sharing.as_ref().map_or(-1, Sharing::raised)
}

/// Whether vector [`VGPU_VECTOR_CHANNELS`] is to be raised, since it was asked last.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_is_raised(device: &VgpuDevice) -> bool {
    device.sharing.as_ref().is_some_and(Sharing::pass_on)
}

/// Whether the guest has asked for something: [`vgpu_work`] does it.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_is_asked(device: &VgpuDevice) -> bool {
    device.sharing.as_ref().is_some_and(Sharing::is_asked)
}

/// Does what the guest has asked for, if anything. Where `memory` is NULL, it may share none now, and is told so.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_work(device: &mut VgpuDevice, memory: Option<&VgpuMemory>) -> VgpuTodo {
    let memory = memory.map(Memory::new);
    device.work(memory.as_ref().map(|it| it as _))
}

/// Whether somebody has some of the guest's memory, or is about to: the machine cannot be saved or moved.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_is_shared(device: &VgpuDevice) -> bool {
    device.sharing.as_ref().is_some_and(Sharing::is_shared)
}

/// Addresses from `first` to `last` are the guest's memory no more. Returns when nobody has it, or after a second.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_unmapped(device: &mut VgpuDevice, first: u64, last: u64) -> VgpuTodo {
    device.unmapped(first, last)
}

/// A doorbell whose descriptor QEMU has to exchange, if there is one: writes to it then signal it, and no call of the
/// device is needed. `before` is open until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_next_doorbell(device: &mut VgpuDevice, doorbell: &mut VgpuDoorbell) -> bool {
    let next = device.sharing.as_mut().and_then(Sharing::next_doorbell);
    let found = next.is_some();
    *doorbell = next.unwrap_or_default();
    found
}

/// The device is unplugged: it has no daemon any more, nor any descriptor. Nothing of them is watched, no doorbell is QEMU's.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_detach(device: &mut VgpuDevice) {
    device.sharing = None;
}
