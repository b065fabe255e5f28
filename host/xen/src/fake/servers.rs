//! The ioreq servers of a domain: ours, QEMU's, and other emulators'.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::thread;

use rustix::io::Errno;
use vgpu_pci::Slot;
use xen_dm::device_model::{MAX_SERVERS, ServerId};

use super::steps::Steps;
use crate::device_model_ops::{DeviceModelOps, Found};

/// A server as Xen has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) buffered: bool,
    pub(crate) enabled: bool,
    pub(crate) mark: u64,
    pub(crate) slots: Vec<u8>,
    /// Whether a vCPU waits for its answer.
    pub(crate) waits: bool,
}

impl Server {
    /// QEMU's, with a device of its own.
    pub(crate) fn qemu() -> Self {
        Self {
            buffered: true,
            enabled: true,
            mark: 0,
            slots: vec![3],
            waits: false,
        }
    }

    /// Another emulator's, which has no buffered requests either.
    pub(crate) fn neighbour() -> Self {
        Self {
            buffered: false,
            ..Self::qemu()
        }
    }
}

/// All of a domain's.
#[derive(Debug, Default)]
pub(crate) struct FakeServers {
    servers: RefCell<BTreeMap<u16, Server>>,
    steps: Steps,
    /// Somebody else makes a server in the moment before ours.
    pub(crate) overtaken: Cell<bool>,
    /// How often the domain, which dies, still refuses to have a server disabled; its servers are gone then.
    pub(crate) dying: Cell<u32>,
}

impl FakeServers {
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Those that there are, in the order of their ids.
    pub(crate) fn all(&self) -> Vec<Server> {
        self.servers.borrow().values().cloned().collect()
    }

    pub(crate) fn get(&self, id: u16) -> Option<Server> {
        self.servers.borrow().get(&id).cloned()
    }

    /// The domain is gone.
    pub(crate) fn clear(&self) {
        self.servers.borrow_mut().clear();
    }

    pub(crate) fn add(&self, server: Server) -> Result<ServerId, Errno> {
        let mut servers = self.servers.borrow_mut();
        let free = (0..MAX_SERVERS).find(|id| !servers.contains_key(id));
        let id = free.ok_or(Errno::NOSPC)?;
        servers.insert(id, server);
        Ok(ServerId(id))
    }

    pub(crate) fn with<T>(
        &self,
        id: ServerId,
        act: impl FnOnce(&mut Server) -> T,
    ) -> Result<T, Errno> {
        self.step()?;
        let done = self.servers.borrow_mut().get_mut(&id.0).map(act);
        self.step()?;
        done.ok_or(Errno::NOENT)
    }

    /// Where all processes may be killed. A dead one, whose values are being dropped, does nothing any more.
    fn step(&self) -> Result<(), Errno> {
        if thread::panicking() {
            return Err(Errno::IO);
        }
        self.steps.step();
        Ok(())
    }
}

impl DeviceModelOps for FakeServers {
    fn look(&self, server: ServerId) -> Result<(), Errno> {
        self.with(server, |_| ())
    }

    fn find(&self, server: ServerId) -> Result<Found, Errno> {
        self.with(server, |server| match server {
            Server { buffered: true, .. } => Found::Buffered,
            Server { mark: 1.., .. } => Found::Marked(server.mark),
            Server { enabled: true, .. } => Found::Used,
            _ => Found::New,
        })
    }

    fn mark(&self, server: ServerId, mark: u64) -> Result<(), Errno> {
        self.with(server, |server| server.mark = mark)
    }

    fn exists(&self, server: ServerId) -> bool {
        self.with(server, |server| server.enabled = true).is_ok()
    }

    fn create(&self) -> Result<ServerId, Errno> {
        self.step()?;
        if self.overtaken.take() {
            self.add(Server::qemu())?;
        }
        let made = self.add(Server::default());
        self.step()?;
        made
    }

    fn map(&self, server: ServerId, slot: Slot) -> Result<(), Errno> {
        self.with(server, |server| server.slots.push(slot.into()))
    }

    fn disable(&self, server: ServerId) -> Result<(), Errno> {
        match self.dying.get() {
            0 => {}
            left => {
                if left == 1 {
                    self.servers.borrow_mut().clear();
                }
                self.dying.set(left - 1);
                return Err(Errno::INVAL);
            }
        }
        self.with(server, |server| {
            assert!(!server.buffered, "it is QEMU's");
            server.enabled = false;
        })?;
        self.with(server, |server| server.waits = false)
    }

    fn destroy(&self, server: ServerId) -> Result<(), Errno> {
        self.with(server, |server| assert!(!server.waits, "a vCPU hangs"))?;
        self.servers.borrow_mut().remove(&server.0);
        self.step()
    }
}
