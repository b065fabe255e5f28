//! What a host tells a program without being asked: ops of notices.

/// What kernels printed, for the program's standard output: any bytes.
pub const PRINTED: u16 = 1;
/// The most bytes of it that wait for the program: CUDA's default of
/// `CU_LIMIT_PRINTF_FIFO_SIZE`.
pub const PRINTED_MAX: usize = 1 << 20;
