//! What is opened, and why it could not be.

use std::path::PathBuf;

/// Where the driver is, and which device is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// NVIDIA's driver library: a path, or a name that the linker finds.
    pub library: PathBuf,
    /// The node of the kernel driver, which has to be there.
    pub control: PathBuf,
    /// Which of the driver's devices.
    pub device: i32,
}

impl Default for Config {
    /// `libcuda.so.1`, `/dev/nvidiactl`, the first device.
    fn default() -> Self {
        Self {
            library: "libcuda.so.1".into(),
            control: "/dev/nvidiactl".into(),
            device: 0,
        }
    }
}

impl Config {
    /// Whether there is a driver at all, before anything is loaded.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoControl`].
    pub fn check(&self) -> Result<(), OpenError> {
        match self.control.exists() {
            true => Ok(()),
            false => Err(OpenError::NoControl(self.control.clone())),
        }
    }
}

/// Why there is no device: a line with the cause, and one that says what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The kernel driver's node is not there.
    #[error(
        "no {}: NVIDIA's kernel driver is not loaded, or shows no device to this process\n\
         load it (`modprobe nvidia`) on a machine that has the GPU, or use the CPU engine",
        .0.display()
    )]
    NoControl(PathBuf),
    /// The library is not there, or does not load.
    #[error(
        "cannot load NVIDIA's driver library {}: {cause}\n\
         install the driver's user-space part of the same version, or use the CPU engine",
        path.display()
    )]
    Library {
        /// Its name.
        path: PathBuf,
        /// What the linker says.
        cause: String,
    },
    /// The library lacks a function.
    #[error(
        "{}: no function `{function}`: it is no driver of CUDA 12.4 or later\n\
         install NVIDIA's driver 550 or later",
        path.display()
    )]
    TooOld {
        /// Its name.
        path: PathBuf,
        /// What it lacks.
        function: &'static str,
    },
    /// The driver refuses.
    #[error(
        "{}: {what}: {cause}\n\
         see whether `nvidia-smi` shows the device, and the kernel's log if not",
        path.display()
    )]
    Driver {
        /// The library's name.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        cause: String,
    },
}
