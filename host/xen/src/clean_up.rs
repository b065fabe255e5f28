//! What processes that were killed have left, removed by others.

use xen_dm::DomainId;
use xen_dm::device_model::DeviceModel;
use xen_dm::xenstore::Xenstore;

use crate::error::{Error, cannot};
use crate::ioreq_server;
use crate::layout;
use crate::nodes::{self, Nodes, Presence};
use crate::record::RecordFile;
use crate::run_folder::RunFolder;

/// Removes what an emulator of the domain, which ran in the domain `backend`, has left that was killed with all its
/// processes: its ioreq server, so that no vCPU waits for it, its nodes in
/// xenstore, its files. The domain goes on without the device. Where nothing is
/// left, nothing is done.
///
/// # Errors
///
/// [`Error::Busy`] where an emulator answers the domain's guest; otherwise if
/// Xen, xenstore or the system refuses what it needs. What is left then can be
/// removed later.
pub fn clean_up(domain: DomainId, backend: DomainId) -> Result<(), Error> {
    let folder = RunFolder::lock(domain)?;
    let file = RecordFile::at(folder.files().record());
    if let Some(record) = file.read()? {
        let model = DeviceModel::open(domain).map_err(Error::NoXen)?;
        model.restrict().map_err(cannot("restrict a handle"))?;
        ioreq_server::discard(&model, &file, &record, domain)?;
    }
    let mut store = Xenstore::connect().map_err(Error::NoXenstore)?;
    let nodes = Nodes { domain, backend };
    nodes.remove(&mut store).map_err(|source| Error::Xenstore {
        action: "remove the device's nodes",
        source,
    })
}

/// Does so for domains that are gone, but for the one of these nodes: nobody else will. What
/// cannot be removed now is tried the next time.
pub(crate) fn clean_up_gone(store: &mut Xenstore, but: Nodes) {
    let mut left = nodes::domains(store, but.backend);
    left.extend(layout::domains());
    left.sort_unstable();
    left.dedup();
    for domain in left.into_iter().filter(|domain| *domain != but.domain) {
        if matches!(Presence::of(domain).is_there(store), Ok(false)) {
            let _ = clean_up(domain, but.backend);
        }
    }
}
