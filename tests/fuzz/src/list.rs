//! The targets, as data: `cargo xtask fuzz` takes this file too, so that it need
//! not build what they fuzz.

/// A function to be fuzzed, with the bound on its memory.
#[derive(Debug)]
pub struct Target {
    /// Its name, which its folders have too.
    pub name: &'static str,
    /// What it reads the bytes as, in a line.
    pub about: &'static str,
    /// Bytes of the longest input that is worth its time.
    pub longest: usize,
    /// Bytes of memory that may be in use at a time,
    pub memory: u64,
    /// and how many more for each byte of the input.
    pub memory_per_byte: u64,
}

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "config",
        about: "a guest's accesses to config space, against PCI's rules",
        longest: 64,
        memory: 16 << 10,
        memory_per_byte: 0,
    },
    Target {
        name: "bar0",
        about: "a guest's accesses to BAR0, against the written rules",
        longest: 64,
        memory: 16 << 10,
        memory_per_byte: 0,
    },
    Target {
        name: "state",
        about: "a saved state, whole or damaged, given to a device",
        longest: 1500,
        memory: 16 << 10,
        memory_per_byte: 1,
    },
    Target {
        name: "mailbox",
        about: "a driver of a device with features, its host and its resets, against the written rules",
        longest: 192,
        memory: 32 << 10,
        memory_per_byte: 0,
    },
    Target {
        name: "segments",
        about: "segment directories, also such that change, and what the daemon answers, against a second reader",
        longest: 512,
        // The pages that can be read, and those of a directory as they are read.
        memory: 512 << 10,
        memory_per_byte: 64,
    },
    Target {
        name: "link",
        about: "packets between a device and vgpud, from either end, with descriptors",
        longest: 512,
        memory: 64 << 10,
        memory_per_byte: 32,
    },
    Target {
        name: "xenstore",
        about: "calls to the xenstore client, and the bytes that it gets for them",
        longest: 4096,
        // Requests and answers of at most 4 KiB, and the events that wait.
        memory: 64 << 10,
        memory_per_byte: 32,
    },
    Target {
        name: "vfio-user",
        about: "a client's bytes and descriptors, over a socket, with the device behind it",
        longest: 2048,
        // The server's two buffers of 64 KiB, what came back, and DMA maps.
        memory: 1 << 20,
        memory_per_byte: 32,
    },
    Target {
        name: "control",
        about: "what clients send to the control socket, in any pieces",
        longest: 256,
        // Lines of 4 KiB, 64 KiB of replies, for some clients, and what they are read as.
        memory: 1 << 20,
        memory_per_byte: 256,
    },
    Target {
        name: "ioreq",
        about: "a page of requests from vCPUs, torn or hostile, and deaths of the server",
        longest: 256,
        // The log's queue is made once, by the first input.
        memory: 128 << 10,
        // Lines for the log, which its own thread gives back.
        memory_per_byte: 256,
    },
    Target {
        name: "kept",
        about: "the file that outlives a serving process on Xen, damaged or made up",
        longest: 2800,
        memory: 128 << 10,
        memory_per_byte: 64,
    },
    Target {
        name: "cuda-ring",
        about: "a CUDA session's ring and replies, with a side that writes where it will",
        longest: 192,
        // A record of the longest kind, which a consumer has.
        memory: 128 << 10,
        memory_per_byte: 16,
    },
    Target {
        name: "cuda-wire",
        about: "a program's records, and descriptions of modules, as any bytes",
        longest: 512,
        memory: 16 << 10,
        memory_per_byte: 256,
    },
    Target {
        name: "cuda-ptx",
        about: "the text of a module, loaded as the CPU engine does",
        longest: 4096,
        memory: 1 << 20,
        memory_per_byte: 1024,
    },
];
