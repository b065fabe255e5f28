//! Our ioreq server of a domain, from its making to its end, also where that is the end of another process than the one
//! that made it.
//!
//! Each has a mark, which is written down, in a place of its page that Xen and
//! vCPUs leave alone: so the one that is written down is known from all others,
//! those of another domain that has the number by now too.
//!
//! Xen chooses a server's id as it makes it. Who is killed before the mark is
//! set leaves a server whose id is foretold: the lowest that was free. Nobody
//! has answered for it yet, as for no server of others for longer than a
//! moment.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use xen_dm::DomainId;
use xen_dm::device_model::{MAX_SERVERS, ServerId};

use crate::device_model_ops::{DeviceModelOps, Found};
use crate::error::{Error, cannot};
use crate::kept::Kept;
use crate::record::{Record, RecordFile, Stage, Wanted};

/// How often, and how long after one another, it is tried to end a server.
const ATTEMPTS: u32 = 40;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// A server that is there. It goes with this, and no vCPU is left waiting for
/// it; its record goes only where it has gone.
#[derive(Debug)]
pub(crate) struct IoreqServer<'a, M: DeviceModelOps> {
    model: &'a M,
    file: &'a RecordFile,
    id: ServerId,
}

impl<'a, M: DeviceModelOps> IoreqServer<'a, M> {
    /// Makes one for the devices of `wanted`. `keep` makes the file of
    /// registers for it, before any guest reaches it.
    pub(crate) fn make(
        model: &'a M,
        file: &'a RecordFile,
        wanted: &Wanted,
        keep: impl FnOnce(ServerId) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let refused = |errno| refused("make an ioreq server", wanted.domain, errno);
        let mark = new_mark().map_err(cannot("read random numbers"))?;
        let record = |server, stage| Record {
            devices: wanted.devices.clone(),
            server,
            mark,
            stage,
        };
        let foretold = lowest_free(model).map_err(refused)?;
        file.write(&record(foretold, Stage::Making))?;
        let made = model.create();
        if made.is_err() {
            let _ = file.remove();
        }
        let id = made.map_err(refused)?;
        let server = Self { model, file, id };
        if id != foretold {
            file.write(&record(id, Stage::Making))?;
        }
        model.mark(id, mark).map_err(refused)?;
        keep(id)?;
        for &slot in &wanted.slots {
            let mapped = model.map(id, slot);
            mapped.map_err(|errno| self::refused("map a PCI function", wanted.domain, errno))?;
        }
        file.write(&record(id, Stage::Made))?;
        Ok(server)
    }

    /// The one that another supervisor has left, if it is for these devices,
    /// and their registers are in the file `kept`. Any other is ended.
    pub(crate) fn take_over(
        model: &'a M,
        file: &'a RecordFile,
        wanted: &Wanted,
        kept: &Path,
    ) -> Result<Option<Self>, Error> {
        let Some(record) = file.read()? else {
            return Ok(None);
        };
        let Some(server) = Self::left(model, file, &record, wanted.domain)? else {
            return Ok(None);
        };
        let is_whole = record.stage == Stage::Made && record.devices == wanted.devices;
        if is_whole && Kept::is_for(kept, server.id, wanted.slots.len()) {
            return Ok(Some(server));
        }
        server.end(wanted.domain)?;
        Ok(None)
    }

    /// The one that a supervisor has left which was killed: the very one that
    /// is recorded.
    fn left(
        model: &'a M,
        file: &'a RecordFile,
        record: &Record,
        domain: DomainId,
    ) -> Result<Option<Self>, Error> {
        let id = record.server;
        match model.find(id) {
            Ok(Found::Marked(mark)) if mark == record.mark => {}
            Ok(Found::New) if record.stage == Stage::Making => {}
            Ok(_) => return Ok(None),
            // There is none, or it is another domain's than this.
            Err(Errno::NOENT | Errno::SRCH | Errno::PERM) => return Ok(None),
            Err(errno) => return Err(refused("look for an ioreq server", domain, errno)),
        }
        Ok(Some(Self { model, file, id }))
    }

    #[cfg(test)]
    pub(crate) fn id(&self) -> ServerId {
        self.id
    }

    /// Whether it exists, which it does no longer once its domain dies.
    pub(crate) fn exists(&self) -> bool {
        self.model.exists(self.id)
    }

    /// Ends it, with its record.
    ///
    /// # Errors
    ///
    /// It cannot be ended without a vCPU that waits for ever: it is there, as
    /// recorded.
    pub(crate) fn end(self, domain: DomainId) -> Result<(), Error> {
        let ended = self.withdraw();
        let file = self.file;
        std::mem::forget(self);
        ended.map_err(|errno| refused("end an ioreq server", domain, errno))?;
        file.remove()
    }

    /// A domain that dies refuses some of it, until Xen has taken all of its servers away.
    fn withdraw(&self) -> Result<(), Errno> {
        for _ in 0..ATTEMPTS {
            match self.try_withdraw() {
                Ok(()) => return Ok(()),
                Err(_) => thread::sleep(BETWEEN_ATTEMPTS),
            }
        }
        self.try_withdraw()
    }

    fn try_withdraw(&self) -> Result<(), Errno> {
        match self.model.look(self.id) {
            // The domain is gone, or dying, and all of it with it.
            Err(Errno::NOENT | Errno::SRCH) => Ok(()),
            _ => {
                self.model.disable(self.id)?;
                self.model.destroy(self.id)
            }
        }
    }
}

impl<M: DeviceModelOps> Drop for IoreqServer<'_, M> {
    fn drop(&mut self) {
        // What is left is recorded.
        if self.try_withdraw().is_ok() {
            let _ = self.file.remove();
        }
    }
}

/// Ends what a record tells of, and forgets it. Nothing else is touched, such
/// as another's server that has the id by now.
pub(crate) fn discard<M: DeviceModelOps>(
    model: &M,
    file: &RecordFile,
    record: &Record,
    domain: DomainId,
) -> Result<(), Error> {
    match IoreqServer::left(model, file, record, domain)? {
        Some(server) => server.end(domain),
        None => file.remove(),
    }
}

fn refused(action: &'static str, domain: DomainId, source: Errno) -> Error {
    Error::Xen {
        action,
        domain,
        source,
    }
}

/// The id that the next server will have.
fn lowest_free<M: DeviceModelOps>(model: &M) -> Result<ServerId, Errno> {
    for id in (0..MAX_SERVERS).map(ServerId) {
        match model.look(id) {
            Err(Errno::NOENT) => return Ok(id),
            Ok(()) | Err(Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::NOSPC)
}

/// One that no other server has: any number but 0.
fn new_mark() -> io::Result<u64> {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::empty())? {
        8 => Ok(u64::from_ne_bytes(bytes).max(1)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
