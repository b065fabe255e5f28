//! The launches of the tests, written down to be done again on another device: `tests/gpu/golden.py`.
//!
//! Where `VGPU_GOLDEN` names a folder, each launch that ends well is added to a file of its process there: the module, the
//! launch, and all buffers before and after it. Numbers are little-endian; text and bytes have their length before them. A
//! parameter that is the address of a buffer means that buffer, wherever it is on the other device.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use vgpu_device_memory::Memory;
use vgpu_simt::Launch;

static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let folder = std::env::var_os("VGPU_GOLDEN")?;
    let folder = Path::new(&folder);
    create_dir_all(folder).expect("a folder");
    let path = folder.join(format!("{}.cases", std::process::id()));
    let file = OpenOptions::new().create(true).append(true).open(path);
    Some(Mutex::new(file.expect("a file")))
});

/// What a device's launches begin with.
#[derive(Default)]
pub(crate) struct Recorder {
    text: String,
    /// What its launches are about, such as a form, where all kernels have one name.
    about: Option<String>,
    buffers: Vec<(u64, usize)>,
    launched: bool,
}

impl Recorder {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn about(&mut self, what: &str) {
        self.about = Some(what.to_owned());
    }

    pub(crate) fn buffer(&mut self, address: u64, length: usize) {
        self.buffers.push((address, length));
    }

    /// All buffers, before a launch that is to be written down: one whose module is as it was loaded.
    pub(crate) fn before(&mut self, memory: &Memory) -> Option<Vec<Vec<u8>>> {
        FILE.as_ref()?;
        let fresh = !self.launched || !self.text.contains(".global .");
        self.launched = true;
        fresh.then(|| self.contents(memory))
    }

    fn contents(&self, memory: &Memory) -> Vec<Vec<u8>> {
        let content = |(address, length): &(u64, usize)| {
            let mut bytes = vec![0; *length];
            memory.read(*address, &mut bytes).expect("read");
            bytes
        };
        self.buffers.iter().map(content).collect()
    }

    /// Writes a launch down that ended well.
    pub(crate) fn record(&self, launch: &Launch<'_>, before: &[Vec<u8>], memory: &Memory) {
        let Some(file) = FILE.as_ref() else {
            return;
        };
        let thread = std::thread::current();
        let test = thread.name().unwrap_or_default();
        let about = self.about.as_deref().unwrap_or(launch.kernel);
        let mut record = Vec::new();
        for text in [&format!("{test}: {about}"), &self.text, launch.kernel] {
            put(&mut record, text.as_bytes());
        }
        let shape = [launch.blocks, launch.threads].concat();
        for number in shape.iter().chain([&launch.shared]) {
            record.extend(number.to_le_bytes());
        }
        put(&mut record, launch.parameters);
        record.extend((self.buffers.len() as u32).to_le_bytes());
        let after = self.contents(memory);
        for (((address, _), before), after) in self.buffers.iter().zip(before).zip(&after) {
            record.extend(address.to_le_bytes());
            put(&mut record, before);
            put(&mut record, if before == after { &[] } else { after });
        }
        let mut file = file.lock().expect("nobody panicked");
        file.write_all(&record).expect("written");
    }
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u32).to_le_bytes());
    to.extend(bytes);
}
