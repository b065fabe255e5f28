//! Messages: a header, then at most [`LONGEST`] bytes.

use rustix::io::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `XENSTORE_PAYLOAD_MAX`
pub(super) const LONGEST: usize = 4096;

/// `enum xsd_sockmsg_type`, as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory = 1,
    Read = 2,
    Watch = 4,
    TransactionStart = 6,
    TransactionEnd = 7,
    Write = 11,
    MakeDirectory = 12,
    Remove = 13,
    SetPermissions = 14,
    WatchEvent = 15,
    Error = 16,
    IsDomainIntroduced = 17,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Directory,
        Self::Read,
        Self::Watch,
        Self::TransactionStart,
        Self::TransactionEnd,
        Self::Write,
        Self::MakeDirectory,
        Self::Remove,
        Self::SetPermissions,
        Self::WatchEvent,
        Self::Error,
        Self::IsDomainIntroduced,
    ];
}

/// `struct xsd_sockmsg`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    kind: u32,
    id: u32,
    transaction: u32,
    length: u32,
}

impl Header {
    pub(super) const SIZE: usize = size_of::<Self>();

    pub(super) fn new(kind: Kind, id: u32, transaction: u32, length: usize) -> Self {
        Self {
            kind: kind as u32,
            id,
            transaction,
            length: length as u32, // at most LONGEST
        }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        zerocopy::transmute!(self)
    }

    pub(super) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        zerocopy::transmute!(bytes)
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u32 == self.kind)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn length(&self) -> usize {
        self.length as usize
    }
}

/// A header and what follows it.
pub(super) type Message = (Header, Vec<u8>);

/// Names of errors, which are what goes over the wire.
const ERRORS: [(&[u8], Errno); 16] = [
    (b"EINVAL", Errno::INVAL),
    (b"EACCES", Errno::ACCESS),
    (b"EEXIST", Errno::EXIST),
    (b"EISDIR", Errno::ISDIR),
    (b"ENOENT", Errno::NOENT),
    (b"ENOMEM", Errno::NOMEM),
    (b"ENOSPC", Errno::NOSPC),
    (b"EIO", Errno::IO),
    (b"ENOTEMPTY", Errno::NOTEMPTY),
    (b"ENOSYS", Errno::NOSYS),
    (b"EROFS", Errno::ROFS),
    (b"EBUSY", Errno::BUSY),
    (b"EAGAIN", Errno::AGAIN),
    (b"EISCONN", Errno::ISCONN),
    (b"E2BIG", Errno::TOOBIG),
    (b"EPERM", Errno::PERM),
];

/// The error of an answer.
pub(super) fn errno(body: &[u8]) -> Errno {
    let name = body.strip_suffix(b"\0").unwrap_or(body);
    ERRORS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(Errno::INVAL, |(_, errno)| *errno)
}
