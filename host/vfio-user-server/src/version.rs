//! How a connection begins: version and capabilities
//! (specification, `VFIO_USER_VERSION`).

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use zerocopy::FromBytes;

use crate::limits::{MAX_DATA, MAX_DMA_MAPS, MAX_FILES, PAGE_SIZE};
use crate::reply::Reply;
use crate::wire;

/// The only version there is; no client can propose a lower minor one.
const VERSION: wire::Version = wire::Version { major: 0, minor: 0 };

/// The text beside the version. Names that are not known here are for
/// features that are not offered.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    #[serde(default)]
    capabilities: Capabilities,
}

/// What the sender can receive. Absent ones have defaults that are no lower
/// than this server's needs: it sends neither descriptors nor commands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Capabilities {
    max_msg_fds: Option<u64>,
    max_data_xfer_size: Option<u64>,
    max_dma_maps: Option<u64>,
    pgsizes: Option<u64>,
}

/// Answers a client's proposal.
///
/// # Errors
///
/// `EINVAL` for another major version, or a text that is none. The connection
/// is then of no use.
pub(crate) fn negotiate(payload: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let (version, text) = wire::Version::read_from_prefix(payload).map_err(|_| Errno::INVAL)?;
    if version.major != VERSION.major {
        return Err(Errno::INVAL);
    }
    if let Some((0, json)) = text.split_last() {
        serde_json::from_slice::<Text>(json).map_err(|_| Errno::INVAL)?;
    } else if !text.is_empty() {
        return Err(Errno::INVAL);
    }

    reply.put(&VERSION)?;
    let own = Text {
        capabilities: Capabilities {
            max_msg_fds: Some(MAX_FILES as u64),
            max_data_xfer_size: Some(MAX_DATA as u64),
            max_dma_maps: Some(MAX_DMA_MAPS as u64),
            pgsizes: Some(PAGE_SIZE),
        },
    };
    let mut json = serde_json::to_vec(&own).map_err(|_| Errno::INVAL)?;
    json.push(0);
    reply.space(json.len())?.copy_from_slice(&json);
    Ok(())
}
