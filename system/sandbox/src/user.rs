//! A user that owns nothing, in a root folder that has nothing.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Gid, Uid, stat};
use rustix::io::Errno;
use rustix::process::{chdir, chroot, getgid, getgroups, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::{Error, Sandbox};

/// The name of the empty folder, while it has one.
const EMPTY: &str = "empty";

impl Sandbox {
    /// Leaves all files but those that are open: the root folder is an empty one
    /// from now on, in which nobody can make a file, as it is removed already. It
    /// is made in `folder`, which only root may write to. For root; the process
    /// has one thread.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn leave_files(&self, folder: &Path) -> Result<(), Error> {
        let refused = |source| Error::System {
            action: "leave the file system",
            source,
        };
        let leave = || -> io::Result<()> {
            chdir(folder)?;
            match fs::create_dir(EMPTY) {
                // Somebody was killed right here.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            chdir(EMPTY)?;
            fs::remove_dir(Path::new("..").join(EMPTY))?;
            chroot(".")?;
            Ok(chdir("/")?)
        };
        leave().map_err(refused)?;
        // Of a folder that is removed there is no name.
        match stat("/") {
            Ok(root) if root.st_nlink == 0 => Ok(()),
            Ok(_) => Err(Error::NotInForce("an empty root folder".into())),
            Err(errno) => Err(refused(errno.into())),
        }
    }

    /// As [`become_user`] and [`Sandbox::expect_user`].
    ///
    /// # Errors
    ///
    /// Those of [`become_user`].
    pub fn become_user(&mut self, id: u32) -> Result<(), Error> {
        self.expect_user(become_user(id)?);
        Ok(())
    }

    /// Has [`Sandbox::close`] look whether each thread is that user.
    pub fn expect_user(&mut self, user: BecameUser) {
        self.user = Some(user.0);
    }
}

/// The proof that this process, in the thread that has it and those that this
/// thread starts, is another user than root, for good.
#[derive(Debug, Clone, Copy)]
pub struct BecameUser(u32);

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

#[cfg(test)]
mod tests {
    use super::*;

    /// To the kernel, `u32::MAX` is to stay who one is.
    #[test]
    fn who_stays_root_hears_of_it() {
        let mut sandbox = Sandbox::prepare().unwrap();
        for id in [0, u32::MAX] {
            let error = sandbox.become_user(id).unwrap_err().to_string();
            let cause = format!("cannot become another user: {id} is no number of another user");
            assert_eq!(error, cause);
        }
        assert_eq!(sandbox.user, None);
    }
}
