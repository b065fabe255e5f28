//! A sandbox's user, in a root folder that has nothing.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::stat;
use rustix::process::{chdir, chroot};

use crate::became::{BecameUser, become_user};
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

    /// As [`crate::become_user`] and [`Sandbox::expect_user`].
    ///
    /// # Errors
    ///
    /// Those of [`crate::become_user`].
    pub fn become_user(&mut self, id: u32) -> Result<(), Error> {
        self.expect_user(become_user(id)?);
        Ok(())
    }

    /// Has [`Sandbox::close`] look whether each thread is that user.
    pub fn expect_user(&mut self, user: BecameUser) {
        self.user = Some(user.id());
    }
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
