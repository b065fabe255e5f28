//! Images of code, on their way to the worker and back.

use vgpu_cuda_wire::{CUresult, ModuleDescription};
use vgpu_ring::Memory;
use vgpu_ring::layout::ARENA_PIECE;

use super::{Connection, IN_RECORD};
use crate::Done;
use crate::pointers::Logs;

/// The longest description of a module that is believed.
const MOST_DESCRIBED: usize = 64 << 20;
/// The longest linked image that is believed.
const MOST_LINKED: usize = 256 << 20;

impl Connection {
    /// Shares an image for as long as `work` takes, which gets its region, offset
    /// and size.
    fn with_image<T>(
        &self,
        image: &[u8],
        work: impl FnOnce(u32, u64, u64) -> Result<T, CUresult>,
    ) -> Result<T, CUresult> {
        self.with_shared(image.len(), |region, offset, memory, place| {
            let copied = memory.write(place, image);
            debug_assert!(copied, "there is room");
            work(region, offset, image.len() as u64)
        })
    }

    /// Fetches so many bytes, which `work` has written to a region and an offset.
    fn fetch(
        &self,
        length: u64,
        most: usize,
        work: impl FnOnce(u32, u64, u64) -> Done,
    ) -> Result<Vec<u8>, CUresult> {
        let known = usize::try_from(length).ok().filter(|&known| known <= most);
        let size = known.ok_or(CUresult::CUDA_ERROR_UNKNOWN)?;
        self.with_shared(size, |region, offset, memory, place| {
            work(region, offset, length)?;
            let mut bytes = vec![0; size];
            let copied = memory.read(place, &mut bytes);
            debug_assert!(copied, "it is there");
            Ok(bytes)
        })
    }

    /// Loads an image; gives the module's number and what is in it.
    pub(crate) fn load(&self, number: u64, image: &[u8]) -> Result<ModuleDescription, CUresult> {
        let client = self.client();
        let length = self.with_image(image, |region, offset, size| {
            client.module_load(number, region, offset, size)
        })?;
        let bytes = self.fetch(length, MOST_DESCRIBED, |region, offset, size| {
            client.module_describe(number, region, offset, size)
        });
        let described = bytes.and_then(|bytes| {
            ModuleDescription::decode(&bytes).ok_or(CUresult::CUDA_ERROR_UNKNOWN)
        });
        if described.is_err() {
            let _ = client.module_unload(number);
        }
        described
    }

    /// Adds an image to a link.
    pub(crate) fn link_add(&self, link: u64, kind: u32, image: &[u8], name: &[u8]) -> Done {
        // A name that is longer is cut off: it is for messages alone.
        let name = &name[..name.len().min(IN_RECORD)];
        self.with_image(image, |region, offset, size| {
            self.client()
                .link_add(link, kind, region, offset, size, name)
        })
    }

    /// The image of all that was added to a link.
    pub(crate) fn link_complete(&self, link: u64) -> Result<Vec<u8>, CUresult> {
        let length = self.client().link_complete(link)?;
        self.fetch(length, MOST_LINKED, |region, offset, size| {
            self.client().link_image(link, region, offset, size)
        })
    }

    /// Writes to a program's logs why an image was refused, or nothing.
    pub(crate) fn tell<T>(&self, logs: &Logs, done: Result<T, CUresult>) -> Result<T, CUresult> {
        let room = logs.room().min(ARENA_PIECE);
        let mut text = Vec::new();
        if done.is_err() && room > 0 {
            // There may be none, where it was not the image.
            let _ = self.with_shared(room, |region, offset, memory, place| {
                let length = self.client().refusal(region, offset, room as u64)?;
                text.resize(room.min(usize::try_from(length).unwrap_or(room)), 0);
                let copied = memory.read(place, &mut text);
                debug_assert!(copied, "it is there");
                Ok(())
            });
        }
        logs.write(&text);
        done
    }
}
