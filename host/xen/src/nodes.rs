//! The device in xenstore: a frontend's and a backend's directory, as a real
//! backend of Xen's has them (Xen `docs/misc/xenstore-paths.pandoc`,
//! `xen/include/public/io/xenbus.h`).

use std::io::{Read, Write};

use xen_dm::DomainId;
use xen_dm::xenstore::{Access, Error, Transaction, Xenstore};

/// The domain that this program runs in.
const BACKEND: DomainId = DomainId(0);

/// `XenbusStateInitialising`: where a frontend starts from.
const INITIALISING: &str = "1";
/// `XenbusStateInitWait`: the backend is there, and waits for a driver.
const INIT_WAIT: &str = "2";

fn home(domain: DomainId) -> String {
    format!("/local/domain/{domain}")
}

/// The folder of a domain's frontends of this kind, which the guest may write
/// to.
fn frontends(domain: DomainId) -> String {
    format!("{}/device/vgpu", home(domain))
}

/// The folder with the backends of this kind, of all domains.
const BACKENDS: &str = "/local/domain/0/backend/vgpu";

/// The folder with all of a domain's backends of this kind.
fn backends(domain: DomainId) -> String {
    format!("{BACKENDS}/{domain}")
}

/// Makes the nodes of `count` devices, all at once.
pub(crate) fn make(store: &mut Xenstore, domain: DomainId, count: usize) -> Result<(), Error> {
    store.transaction(|store, transaction| {
        for index in 0..count {
            let front = format!("{}/{index}", frontends(domain));
            let back = format!("{}/{index}", backends(domain));
            // The guest may write to its own directory; dom0's it may read.
            for (path, owner, other) in [
                (&front, domain, (BACKEND, Access::Read)),
                (&back, BACKEND, (domain, Access::Read)),
            ] {
                store.remove(transaction, path)?;
                store.make(transaction, path)?;
                store.set_permissions(transaction, path, owner, other)?;
            }
            let domain_id = domain.to_string();
            let backend_id = BACKEND.to_string();
            for (directory, key, value) in [
                (&front, "backend", back.as_str()),
                (&front, "backend-id", &backend_id),
                (&front, "state", INITIALISING),
                (&back, "frontend", front.as_str()),
                (&back, "frontend-id", &domain_id),
                (&back, "online", "1"),
                (&back, "state", INIT_WAIT),
            ] {
                store.write(transaction, &format!("{directory}/{key}"), value)?;
            }
        }
        Ok(())
    })
}

/// Whether [`make`] has been done for the domain.
pub(crate) fn are_there(
    store: &mut Xenstore<impl Read + Write>,
    domain: DomainId,
) -> Result<bool, Error> {
    match store.read(Transaction::NONE, &backends(domain)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes them, whatever the guest has put beside and below them: its folder
/// is not listed, and dom0's node goes first, without a transaction, which the
/// guest could spoil by writing.
pub(crate) fn remove(
    store: &mut Xenstore<impl Read + Write>,
    domain: DomainId,
) -> Result<(), Error> {
    store.remove(Transaction::NONE, &backends(domain))?;
    store.remove(Transaction::NONE, &frontends(domain))?;
    // A folder that nobody else uses. It does no harm where it stays, as it does where it has more children than fit into
    // an answer.
    let _ = store.transaction(|store, transaction| {
        if store.directory(transaction, BACKENDS)?.is_empty() {
            store.remove(transaction, BACKENDS)?;
        }
        Ok(())
    });
    Ok(())
}

/// The domains that have backends of this kind. None are told where they are
/// more than fit into an answer.
pub(crate) fn domains(store: &mut Xenstore<impl Read + Write>) -> Vec<DomainId> {
    let children = store.directory(Transaction::NONE, BACKENDS);
    let children = children.unwrap_or_default();
    let domains = children.iter().filter_map(|name| name.parse().ok());
    domains.map(DomainId).collect()
}

/// Whether a domain is there, as xenstore knows it.
///
/// A toolstack makes a domain's nodes first. It introduces the domain when its
/// memory is filled, which may be after its emulators have started, as with
/// xenopsd. From then on xenstore itself knows when the domain dies, while the
/// nodes stay until the toolstack has removed them.
#[derive(Debug)]
pub(crate) struct Presence {
    domain: DomainId,
    /// Whether it has been introduced since this was made.
    introduced: bool,
}

impl Presence {
    pub(crate) fn of(domain: DomainId) -> Self {
        Self {
            domain,
            introduced: false,
        }
    }

    /// Has the connection hear of what may change the answer.
    pub(crate) fn watch(&self, store: &mut Xenstore) -> Result<(), Error> {
        // The last one is of dom0's own nodes, and goes with all of them: a
        // guest causes no event.
        let vm = format!("{}/vm", home(self.domain));
        for path in ["@introduceDomain", "@releaseDomain", &vm] {
            store.watch(path, "presence")?;
        }
        Ok(())
    }

    /// Whether it is there now.
    pub(crate) fn is_there(&mut self, store: &mut Xenstore) -> Result<bool, Error> {
        let introduced = store.is_introduced(self.domain)?;
        if self.introduced && !introduced {
            return Ok(false);
        }
        self.introduced |= introduced;
        match store.read(Transaction::NONE, &home(self.domain)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
