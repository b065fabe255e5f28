//! A user that owns nothing.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{getgid, getgroups, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::Error;

/// The proof that this process, in the thread that has it and those that this
/// thread starts, is another user than root, for good.
#[derive(Debug, Clone, Copy)]
pub struct BecameUser(u32);

impl BecameUser {
    pub(crate) const fn id(self) -> u32 {
        self.0
    }
}

/// Becomes a user, and a group, of this number, in no other group, for good.
/// For root; the process has one thread, and later ones inherit it. The signal
/// that it is to get when its parent ends has to be asked for afterwards.
///
/// # Errors
///
/// The number is root's or means none (`u32::MAX`), the system refuses it, or
/// it is not in force afterwards.
pub fn become_user(id: u32) -> Result<BecameUser, Error> {
    if id == 0 || id == u32::MAX {
        return Err(Error::System {
            action: "become another user",
            source: io::Error::other(format!("{id} is no number of another user")),
        });
    }
    let refused = || Error::cannot("become another user");
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&[]).map_err(refused())?;
    set_thread_res_gid(gid, gid, gid).map_err(refused())?;
    set_thread_res_uid(uid, uid, uid).map_err(refused())?;

    let groups = getgroups().map_err(refused())?;
    if getuid() != uid || getgid() != gid || !groups.is_empty() {
        return Err(Error::NotInForce(format!("user {id}")));
    }
    let root = Uid::ROOT;
    if set_thread_res_uid(root, root, root) != Err(Errno::PERM) {
        return Err(Error::NotInForce("to be no longer root".into()));
    }
    Ok(BecameUser(id))
}
