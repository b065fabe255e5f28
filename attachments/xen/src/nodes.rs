//! The device in xenstore: a frontend's and a backend's directory, as a real
//! backend of Xen's has them (Xen `docs/misc/xenstore-paths.pandoc`,
//! `xen/include/public/io/xenbus.h`).

use vgpu_xen::DomainId;
use vgpu_xen::xenstore::{Access, Error, Transaction, Xenstore};

/// The domain that this program runs in.
const BACKEND: DomainId = DomainId(0);

/// `XenbusStateInitialising`: where a frontend starts from.
const INITIALISING: &str = "1";
/// `XenbusStateInitWait`: the backend is there, and waits for a driver.
const INIT_WAIT: &str = "2";

/// `/local/domain/N/device/vgpu/I`
fn frontend(domain: DomainId, index: usize) -> String {
    format!("/local/domain/{domain}/device/vgpu/{index}")
}

/// The folder with all of a domain's backends of this kind.
fn backends(domain: DomainId) -> String {
    format!("/local/domain/{BACKEND}/backend/vgpu/{domain}")
}

/// Makes the nodes of `count` devices, all at once.
pub(crate) fn make(store: &mut Xenstore, domain: DomainId, count: usize) -> Result<(), Error> {
    store.transaction(|store, transaction| {
        for index in 0..count {
            let front = frontend(domain, index);
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

/// Removes them; the frontends go with the domain where it is gone.
pub(crate) fn remove(store: &mut Xenstore, domain: DomainId, count: usize) -> Result<(), Error> {
    let parent = format!("/local/domain/{domain}/device/vgpu");
    store.transaction(|store, transaction| {
        for index in 0..count {
            store.remove(transaction, &frontend(domain, index))?;
        }
        store.remove(transaction, &backends(domain))?;
        // A folder that nobody else uses.
        for folder in [parent.as_str(), "/local/domain/0/backend/vgpu"] {
            match store.directory(transaction, folder) {
                Ok(children) if children.is_empty() => store.remove(transaction, folder)?,
                Ok(_) => {}
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
}

/// Whether the domain is still there: xenstore keeps a domain that is dying
/// until its toolstack has removed it.
pub(crate) fn is_alive(store: &mut Xenstore, domain: DomainId) -> Result<bool, Error> {
    if !store.is_introduced(domain)? {
        return Ok(false);
    }
    let path = format!("/local/domain/{domain}");
    match store.read(Transaction::NONE, &path) {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}
