//! Errors, each with the number that CUDA has for it.

/// What went wrong, and a text for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {text}")]
pub struct Error {
    /// What a program is told.
    pub kind: ErrorKind,
    /// What its user is told.
    pub text: String,
}

/// What an engine answers.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with its text.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }
}

/// The results that an engine gives, named as in `CUresult`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is wrong.
    #[error("CUDA_ERROR_INVALID_VALUE")]
    InvalidValue = 1,
    /// The device has no memory left.
    #[error("CUDA_ERROR_OUT_OF_MEMORY")]
    OutOfMemory = 2,
    /// The device is gone, or does not answer.
    #[error("CUDA_ERROR_DEVICE_UNAVAILABLE")]
    DeviceUnavailable = 46,
    /// The image is none that can be read.
    #[error("CUDA_ERROR_INVALID_IMAGE")]
    InvalidImage = 200,
    /// The image has no code for this device.
    #[error("CUDA_ERROR_NO_BINARY_FOR_GPU")]
    NoBinaryForGpu = 209,
    /// The PTX is not taken.
    #[error("CUDA_ERROR_INVALID_PTX")]
    InvalidPtx = 218,
    /// The PTX is of a later version than the driver takes.
    #[error("CUDA_ERROR_UNSUPPORTED_PTX_VERSION")]
    UnsupportedPtxVersion = 222,
    /// No such module.
    #[error("CUDA_ERROR_INVALID_HANDLE")]
    InvalidHandle = 400,
    /// No kernel of that name.
    #[error("CUDA_ERROR_NOT_FOUND")]
    NotFound = 500,
    /// A kernel reached outside memory.
    #[error("CUDA_ERROR_ILLEGAL_ADDRESS")]
    IllegalAddress = 700,
    /// The launch asks for more than the device has.
    #[error("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")]
    LaunchOutOfResources = 701,
    /// A kernel ran too long.
    #[error("CUDA_ERROR_LAUNCH_TIMEOUT")]
    LaunchTimeout = 702,
    /// An assertion in a kernel failed.
    #[error("CUDA_ERROR_ASSERT")]
    Assert = 710,
    /// A kernel's calls went too deep.
    #[error("CUDA_ERROR_HARDWARE_STACK_ERROR")]
    HardwareStackError = 714,
    /// A kernel executed what it must not, such as `trap`.
    #[error("CUDA_ERROR_ILLEGAL_INSTRUCTION")]
    IllegalInstruction = 715,
    /// A kernel used an address that is not aligned.
    #[error("CUDA_ERROR_MISALIGNED_ADDRESS")]
    MisalignedAddress = 716,
    /// A kernel jumped to where no code is.
    #[error("CUDA_ERROR_INVALID_PC")]
    InvalidPc = 718,
    /// A kernel failed in another way.
    #[error("CUDA_ERROR_LAUNCH_FAILED")]
    LaunchFailed = 719,
    /// The engine does not do this.
    #[error("CUDA_ERROR_NOT_SUPPORTED")]
    NotSupported = 801,
    /// What no other kind is for: the text says more.
    #[error("CUDA_ERROR_UNKNOWN")]
    Unknown = 999,
}

/// Every kind.
const KINDS: [ErrorKind; 20] = [
    ErrorKind::InvalidValue,
    ErrorKind::OutOfMemory,
    ErrorKind::DeviceUnavailable,
    ErrorKind::InvalidImage,
    ErrorKind::NoBinaryForGpu,
    ErrorKind::InvalidPtx,
    ErrorKind::UnsupportedPtxVersion,
    ErrorKind::InvalidHandle,
    ErrorKind::NotFound,
    ErrorKind::IllegalAddress,
    ErrorKind::LaunchOutOfResources,
    ErrorKind::LaunchTimeout,
    ErrorKind::Assert,
    ErrorKind::HardwareStackError,
    ErrorKind::IllegalInstruction,
    ErrorKind::MisalignedAddress,
    ErrorKind::InvalidPc,
    ErrorKind::LaunchFailed,
    ErrorKind::NotSupported,
    ErrorKind::Unknown,
];

impl ErrorKind {
    /// The `CUresult`.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The kind of a `CUresult`, where there is one.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether CUDA gives every later call of the context the same answer.
    #[must_use]
    pub fn is_sticky(self) -> bool {
        matches!(self.code(), 700 | 702 | 710..=719)
    }
}
