//! The device in xenstore: a frontend's and a backend's directory, as a real
//! backend of Xen's has them (Xen `docs/misc/xenstore-paths.pandoc`,
//! `xen/include/public/io/xenbus.h`).

use xen_dm::DomainId;
use xen_dm::xenstore::{Access, Error, Transaction, Transport, Xenstore};

/// `XenbusStateInitialising`: where a frontend starts from.
const INITIALISING: &str = "1";
/// `XenbusStateInitWait`: the backend is there, and waits for a driver.
const INIT_WAIT: &str = "2";

fn home(domain: DomainId) -> String {
    format!("/local/domain/{domain}")
}

/// The folder with the backends of this kind in a domain, of all domains.
fn all_backends(backend: DomainId) -> String {
    format!("{}/backend/vgpu", home(backend))
}

/// The nodes of a domain's devices of this kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nodes {
    /// The domain that has the devices.
    pub(crate) domain: DomainId,
    /// The domain that this program runs in.
    pub(crate) backend: DomainId,
}

impl Nodes {
    /// The folder of the domain's frontends, which the guest may write to.
    fn frontends(self) -> String {
        format!("{}/device/vgpu", home(self.domain))
    }

    /// The folder with all of the domain's backends.
    fn backends(self) -> String {
        format!("{}/{}", all_backends(self.backend), self.domain)
    }

    /// Makes those of `count` devices, all at once.
    pub(crate) fn make(
        self,
        store: &mut Xenstore<impl Transport>,
        count: usize,
    ) -> Result<(), Error> {
        let Self { domain, backend } = self;
        store.transaction(|store, transaction| {
            for index in 0..count {
                let front = format!("{}/{index}", self.frontends());
                let back = format!("{}/{index}", self.backends());
                // The guest may write to its own directory; the backend's it may read.
                for (path, owner, other) in [
                    (&front, domain, (backend, Access::Read)),
                    (&back, backend, (domain, Access::Read)),
                ] {
                    store.remove(transaction, path)?;
                    store.make(transaction, path)?;
                    store.set_permissions(transaction, path, owner, other)?;
                }
                let domain_id = domain.to_string();
                let backend_id = backend.to_string();
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

    /// Whether [`make`](Self::make) has been done.
    pub(crate) fn are_there(self, store: &mut Xenstore<impl Transport>) -> Result<bool, Error> {
        match store.read(Transaction::NONE, &self.backends()) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes them, whatever the guest has put beside and below them: its folder
    /// is not listed, and the backend's node goes first, without a transaction, which the
    /// guest could spoil by writing.
    pub(crate) fn remove(self, store: &mut Xenstore<impl Transport>) -> Result<(), Error> {
        store.remove(Transaction::NONE, &self.backends())?;
        store.remove(Transaction::NONE, &self.frontends())?;
        // A folder that nobody else uses. It does no harm where it stays, as it does where it has more children than fit
        // into an answer.
        let all = all_backends(self.backend);
        let _ = store.transaction(|store, transaction| {
            if store.directory(transaction, &all)?.is_empty() {
                store.remove(transaction, &all)?;
            }
            Ok(())
        });
        Ok(())
    }
}

/// The domains that have backends of this kind in one. None are told where they are
/// more than fit into an answer.
pub(crate) fn domains(store: &mut Xenstore<impl Transport>, backend: DomainId) -> Vec<DomainId> {
    let children = store.directory(Transaction::NONE, &all_backends(backend));
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use super::*;

    /// A xenstored that does whatever it is asked for, and notes that.
    #[derive(Default)]
    struct Obedient {
        asked: Vec<String>,
        answer: Vec<u8>,
    }

    impl Write for &mut Obedient {
        /// A whole request, with a header of four words: its type, its id, the transaction, the length of what follows.
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (header, body) = bytes.split_at(16);
            let body = String::from_utf8(body.to_vec()).unwrap();
            let what = match header[0] {
                1 => "list",
                2 => "read",
                6 => "start",
                7 => "end",
                11 => "write",
                12 => "make",
                13 => "remove",
                14 => "permit",
                other => panic!("{other}"),
            };
            self.asked
                .push(format!("{what} {}", body.replace('\0', " ")));
            let said: &[u8] = match what {
                "start" => b"9\0",
                // The domains that have backends.
                "list" => b"4\x005\0",
                _ => b"OK\0",
            };
            self.answer.extend(&header[..12]);
            self.answer.extend((said.len() as u32).to_ne_bytes());
            self.answer.extend(said);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for &mut Obedient {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.answer.len());
            buffer[..count].copy_from_slice(&self.answer[..count]);
            self.answer.drain(..count);
            Ok(count)
        }
    }

    fn asked(act: impl FnOnce(&mut Xenstore<&mut Obedient>)) -> Vec<String> {
        let mut xenstored = Obedient::default();
        act(&mut Xenstore::over(&mut xenstored));
        xenstored.asked
    }

    const NODES: Nodes = Nodes {
        domain: DomainId(5),
        backend: DomainId(0),
    };

    #[test]
    fn they_are_those_of_a_backend_of_xen() {
        let [front, back] = [
            "/local/domain/5/device/vgpu/0",
            "/local/domain/0/backend/vgpu/5/0",
        ];
        let expected = [
            "start  ".into(),
            format!("remove {front} "),
            format!("make {front} "),
            format!("permit {front} n5 r0 "),
            format!("remove {back} "),
            format!("make {back} "),
            format!("permit {back} n0 r5 "),
            format!("write {front}/backend {back}"),
            format!("write {front}/backend-id 0"),
            format!("write {front}/state 1"),
            format!("write {back}/frontend {front}"),
            format!("write {back}/frontend-id 5"),
            format!("write {back}/online 1"),
            format!("write {back}/state 2"),
            "end T ".into(),
        ];
        assert_eq!(asked(|store| NODES.make(store, 1).unwrap()), expected);
    }

    /// Also in a domain that is not the first.
    #[test]
    fn a_backend_is_where_it_is_told_to_be() {
        let driver_domain = DomainId(3);
        let nodes = Nodes {
            backend: driver_domain,
            ..NODES
        };
        let all = asked(|store| {
            nodes.make(store, 2).unwrap();
            assert!(nodes.are_there(store).unwrap());
            assert_eq!(domains(store, driver_domain), [DomainId(4), DomainId(5)]);
            nodes.remove(store).unwrap();
        });
        assert!(
            all.iter().all(|asked| !asked.contains("/domain/0/")),
            "{all:?}"
        );
        for expected in [
            "permit /local/domain/5/device/vgpu/1 n5 r3 ",
            "permit /local/domain/3/backend/vgpu/5/1 n3 r5 ",
            "write /local/domain/5/device/vgpu/1/backend-id 3",
            "read /local/domain/3/backend/vgpu/5 ",
            "list /local/domain/3/backend/vgpu ",
            "remove /local/domain/3/backend/vgpu/5 ",
        ] {
            assert!(
                all.iter().any(|asked| asked == expected),
                "{expected}: {all:?}"
            );
        }
    }
}
