//! Whatever there is between a program and its host.

use vgpu_ring::{Park, Wake};
use vgpu_window::Window;

use crate::driver::{Driver, without_driver};
use crate::local::{Local, Name};
use crate::{Error, Lent, Lost, Region, Transport};

/// A session, in one of the ways that there are.
#[derive(Debug)]
pub enum Attachment {
    /// A daemon on the same machine.
    Local(Local),
    /// The driver of a virtual machine's device.
    Driver(Driver),
}

impl Attachment {
    /// Opens a session by what there is: the daemon that the environment names; or else the driver of a device of this
    /// machine's; or else the standing daemon of this user.
    ///
    /// # Errors
    /// There is nothing, or what there is gives no session: the error says what is missing.
    pub fn open() -> Result<Self, Error> {
        match Name::from_environment()? {
            Some(name) => Local::open(name).map(Self::Local),
            None if Driver::is_there() => Driver::open().map(Self::Driver),
            None => {
                let local = Local::open(Name::of_user()).map(Self::Local);
                local.map_err(|error| match (error, without_driver()) {
                    (Error::NotSet { .. }, Some(address)) => Error::NoDriver { address },
                    (error, _) => error,
                })
            }
        }
    }
}

impl Wake for Attachment {
    fn wake(&self) {
        match self {
            Self::Local(local) => local.wake(),
            Self::Driver(driver) => driver.wake(),
        }
    }
}

impl Park for Attachment {
    type Ticket = u64;
    type Lost = Lost;

    fn ticket(&self) -> u64 {
        match self {
            Self::Local(local) => local.ticket(),
            Self::Driver(driver) => driver.ticket(),
        }
    }

    fn park(&self, ticket: u64) -> Result<(), Lost> {
        match self {
            Self::Local(local) => local.park(ticket),
            Self::Driver(driver) => driver.park(ticket),
        }
    }
}

impl Transport for Attachment {
    type Memory = Window;

    fn slice(&self) -> &Window {
        match self {
            Self::Local(local) => local.slice(),
            Self::Driver(driver) => driver.slice(),
        }
    }

    fn add_region(&self, size: usize) -> Result<Region<Window>, Error> {
        match self {
            Self::Local(local) => local.add_region(size),
            Self::Driver(driver) => driver.add_region(size),
        }
    }

    fn lend(&self, pages: Lent) -> Result<u32, Error> {
        match self {
            Self::Local(local) => local.lend(pages),
            Self::Driver(driver) => driver.lend(pages),
        }
    }

    fn remove_region(&self, id: u32) -> Result<(), Error> {
        match self {
            Self::Local(local) => local.remove_region(id),
            Self::Driver(driver) => driver.remove_region(id),
        }
    }
}
