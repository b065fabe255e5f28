//! One method for each message: a program's command, done by the engine.

use std::time::Instant;

use vgpu_cuda_wire::{CUresult, FunctionDescription, Handler, ModuleDescription, Words, limits};
use vgpu_engine::{Engine, Error, Launch, LinkInput, MemoryId, ModuleInfo, Pattern};
use vgpu_ring::Memory;
use vgpu_worker::Context;
use zerocopy::IntoBytes;

use crate::cuda::{Cuda, Link};
use crate::hello::hello;
use crate::shared::Shared;

/// The most modules of a session.
const MOST_MODULES: usize = 65_536;
/// Bytes that are copied at a time.
const PART: usize = 1 << 20;
/// The longest image.
const LONGEST_IMAGE: u64 = 256 << 20;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
const NO_HANDLE: CUresult = CUresult::CUDA_ERROR_INVALID_HANDLE;

type Done = Result<(), CUresult>;

/// A command in work.
pub(crate) struct Call<'a> {
    cuda: &'a mut Cuda,
    session: &'a Context<'a>,
}

/// An engine's error as the program gets it; its text goes to the log.
#[allow(clippy::needless_pass_by_value)]
fn told(error: Error) -> CUresult {
    vgpu_worker::log(&error);
    CUresult(error.kind.code())
}

impl<'a> Call<'a> {
    pub(crate) const fn new(cuda: &'a mut Cuda, session: &'a Context<'a>) -> Self {
        Self { cuda, session }
    }

    fn engine(&mut self) -> Result<&mut (dyn Engine + 'static), CUresult> {
        let engine = self.cuda.engine.as_deref_mut();
        engine.ok_or(CUresult::CUDA_ERROR_NOT_INITIALIZED)
    }

    /// Copies bytes out of shared memory: the arena (0) or a region.
    fn read_shared(&self, region: u32, offset: usize, into: &mut [u8]) -> Done {
        let done = match region {
            0 => self.session.slice.arena_read(offset, into),
            id => self
                .session
                .regions
                .get(id)
                .is_some_and(|region| region.read(offset, into)),
        };
        done.then_some(()).ok_or(INVALID)
    }

    /// Copies bytes into shared memory.
    fn write_shared(&self, region: u32, offset: usize, from: &[u8]) -> Done {
        let done = match region {
            0 => self.session.slice.arena_write(offset, from),
            id => self
                .session
                .regions
                .get(id)
                .is_some_and(|region| region.write(offset, from)),
        };
        done.then_some(()).ok_or(INVALID)
    }

    /// Copies between device memory and shared memory, part by part.
    fn bulk(
        &mut self,
        device: u64,
        region: u32,
        offset: u64,
        size: u64,
        into_device: bool,
    ) -> Done {
        let mut staging = std::mem::take(&mut self.cuda.staging);
        let mut done = 0;
        let mut result = Ok(());
        while done < size && result.is_ok() {
            let length = usize::try_from(size - done).unwrap_or(PART).min(PART);
            staging.resize(length, 0);
            result = self.part(device, region, offset, done, &mut staging, into_device);
            done += length as u64;
        }
        self.cuda.staging = staging;
        result
    }

    fn part(
        &mut self,
        device: u64,
        region: u32,
        offset: u64,
        done: u64,
        part: &mut [u8],
        into_device: bool,
    ) -> Done {
        let device = device.checked_add(done).ok_or(INVALID)?;
        let offset = offset.checked_add(done).ok_or(INVALID)?;
        let offset = usize::try_from(offset).map_err(|_| INVALID)?;
        match into_device {
            true => {
                self.read_shared(region, offset, part)?;
                self.engine()?.write(device, part).map_err(told)
            }
            false => {
                self.engine()?.read(device, part).map_err(told)?;
                self.write_shared(region, offset, part)
            }
        }
    }

    /// An image that lies in the arena or a region.
    fn image(&self, region: u32, offset: u64, size: u64) -> Result<Vec<u8>, CUresult> {
        if size > LONGEST_IMAGE {
            return Err(INVALID);
        }
        let offset = usize::try_from(offset).map_err(|_| INVALID)?;
        let mut image = vec![0; usize::try_from(size).map_err(|_| INVALID)?];
        self.read_shared(region, offset, &mut image)?;
        Ok(image)
    }

    /// Writes what the program has to have room for.
    fn put(&self, bytes: &[u8], region: u32, offset: u64, capacity: u64) -> Done {
        let offset = usize::try_from(offset).map_err(|_| INVALID)?;
        match bytes.len() as u64 <= capacity {
            true => self.write_shared(region, offset, bytes),
            false => Err(INVALID),
        }
    }

    /// An image's refusal as the program gets it; why, it may ask.
    fn refused(&mut self, error: Error) -> CUresult {
        self.cuda.refusal.clone_from(&error.text);
        told(error)
    }

    fn link(&self, link: u64) -> Result<&Link, CUresult> {
        self.cuda.links.get(&link).ok_or(NO_HANDLE)
    }

    fn stream(&self, stream: u64) -> Done {
        // 0 is the default stream, 1 and 2 its variants.
        let known = stream <= 2 || self.cuda.streams.contains(&stream);
        known.then_some(()).ok_or(NO_HANDLE)
    }

    fn event(&self, event: u64) -> Result<Option<Instant>, CUresult> {
        self.cuda.events.get(&event).copied().ok_or(NO_HANDLE)
    }

    fn module(&self, module: u64) -> Result<&ModuleInfo, CUresult> {
        self.cuda.modules.get(&module).ok_or(NO_HANDLE)
    }
}

fn describe(info: &ModuleInfo) -> ModuleDescription {
    let functions = info.functions.iter().map(|function| FunctionDescription {
        name: function.name.clone(),
        parameters: function
            .parameters
            .iter()
            .map(|place| (place.offset, place.size))
            .collect(),
        parameter_size: function.parameter_size,
        shared_size: function.shared_size,
        local_size: function.local_size,
        registers: function.registers,
        max_threads: function.max_threads,
        required_threads: function.required_threads.unwrap_or_default(),
        ptx_version: function.ptx_version,
    });
    let globals = info.globals.iter();
    ModuleDescription {
        functions: functions.collect(),
        globals: globals
            .map(|global| (global.name.clone(), global.address, global.size))
            .collect(),
    }
}

impl Handler for Call<'_> {
    fn hello(&mut self, arena: u64, capacity: u64, base: u64, size: u64) -> Result<u64, CUresult> {
        let end = base.checked_add(size).filter(|_| base > 0).ok_or(INVALID)?;
        // Once: a session has one device.
        let make = self.cuda.make.take().ok_or(INVALID)?;
        let engine = make((base, end)).map_err(told)?;
        let engine: Box<dyn Engine> = match self.cuda.gate.clone() {
            Some(gate) => Box::new(Shared::new(engine, gate)),
            None => engine,
        };
        let engine = self.cuda.engine.insert(engine);
        let hello = hello(engine.properties());
        let bytes = hello.as_bytes();
        let offset = usize::try_from(arena).map_err(|_| INVALID)?;
        if bytes.len() as u64 > capacity {
            return Err(INVALID);
        }
        self.write_shared(0, offset, bytes)?;
        Ok(bytes.len() as u64)
    }

    fn synchronize(&mut self) -> Done {
        Ok(())
    }

    fn hold(&mut self, point: u64) -> Done {
        // The program may take as long as it likes.
        self.cuda.rest_engine();
        let held = self.session.hold(point);
        held.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE)
    }

    fn memory_allocate(&mut self, size: u64) -> Result<u64, CUresult> {
        // The program has the answer at once, and may well try again with less, often: that is nothing to log.
        let code = |error: Error| CUresult(error.kind.code());
        self.engine()?.alloc(size).map_err(code)
    }

    fn memory_free(&mut self, pointer: u64) -> Done {
        self.engine()?.free(pointer).map_err(told)
    }

    fn memory_info(&mut self) -> Result<(u64, u64), CUresult> {
        let info = self.engine()?.memory_info();
        Ok((info.free, info.total))
    }

    fn memory_create(&mut self, size: u64) -> Result<u64, CUresult> {
        let created = self.engine()?.memory_create(size);
        created.map(|MemoryId(number)| number).map_err(told)
    }

    fn memory_destroy(&mut self, memory: u64) -> Done {
        self.engine()?
            .memory_destroy(MemoryId(memory))
            .map_err(told)
    }

    fn memory_map(&mut self, memory: u64, address: u64) -> Done {
        let engine = self.engine()?;
        engine.memory_map(MemoryId(memory), address).map_err(told)
    }

    fn memory_unmap(&mut self, address: u64) -> Done {
        self.engine()?.memory_unmap(address).map_err(told)
    }

    fn write(&mut self, destination: u64, stream: u64, data: &[u8]) -> Done {
        self.stream(stream)?;
        self.engine()?.write(destination, data).map_err(told)
    }

    fn write_from(
        &mut self,
        destination: u64,
        stream: u64,
        region: u32,
        offset: u64,
        size: u64,
    ) -> Done {
        self.stream(stream)?;
        self.bulk(destination, region, offset, size, true)
    }

    fn read_into(&mut self, source: u64, stream: u64, region: u32, offset: u64, size: u64) -> Done {
        self.stream(stream)?;
        self.bulk(source, region, offset, size, false)
    }

    fn read(&mut self, source: u64, stream: u64, size: u64) -> Result<Words, CUresult> {
        self.stream(stream)?;
        let mut words = Words::default();
        let size = usize::try_from(size).map_err(|_| INVALID)?;
        let bytes = words.as_mut_bytes().get_mut(..size).ok_or(INVALID)?;
        self.engine()?.read(source, bytes).map_err(told)?;
        Ok(words)
    }

    fn copy(&mut self, destination: u64, source: u64, size: u64, stream: u64) -> Done {
        self.stream(stream)?;
        self.engine()?.copy(destination, source, size).map_err(told)
    }

    fn fill(&mut self, destination: u64, value: u32, width: u8, count: u64, stream: u64) -> Done {
        self.stream(stream)?;
        let pattern = match width {
            1 => Pattern::Byte(value as u8),
            2 => Pattern::Half(value as u16),
            4 => Pattern::Word(value),
            _ => return Err(INVALID),
        };
        self.engine()?
            .fill(destination, pattern, count)
            .map_err(told)
    }

    fn stream_create(&mut self, stream: u64, _flags: u32, _priority: i32) -> Done {
        if stream <= 2 || self.cuda.streams.len() >= 2 * limits::STREAMS {
            return Err(INVALID);
        }
        self.cuda.streams.insert(stream);
        Ok(())
    }

    fn stream_destroy(&mut self, stream: u64) -> Done {
        self.cuda
            .streams
            .remove(&stream)
            .then_some(())
            .ok_or(NO_HANDLE)
    }

    fn stream_synchronize(&mut self, stream: u64) -> Done {
        self.stream(stream)
    }

    fn stream_query(&mut self, stream: u64) -> Result<u64, CUresult> {
        self.stream(stream).map(|()| 1)
    }

    fn stream_wait(&mut self, stream: u64, event: u64) -> Done {
        self.stream(stream)?;
        self.event(event).map(|_| ())
    }

    fn event_create(&mut self, event: u64, _flags: u32) -> Done {
        if self.cuda.events.len() >= 2 * limits::EVENTS {
            return Err(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        }
        self.cuda.events.insert(event, None);
        Ok(())
    }

    fn event_destroy(&mut self, event: u64) -> Done {
        self.cuda.events.remove(&event).map(|_| ()).ok_or(NO_HANDLE)
    }

    fn event_record(&mut self, event: u64, stream: u64) -> Done {
        self.stream(stream)?;
        let recorded = self.cuda.events.get_mut(&event).ok_or(NO_HANDLE)?;
        *recorded = Some(Instant::now());
        Ok(())
    }

    fn event_synchronize(&mut self, event: u64) -> Done {
        self.event(event).map(|_| ())
    }

    fn event_query(&mut self, event: u64) -> Result<u64, CUresult> {
        self.event(event).map(|_| 1)
    }

    fn event_elapsed(&mut self, start: u64, end: u64) -> Result<u64, CUresult> {
        let (Some(start), Some(end)) = (self.event(start)?, self.event(end)?) else {
            return Err(NO_HANDLE);
        };
        let elapsed = end.saturating_duration_since(start).as_nanos();
        Ok(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    fn module_load(
        &mut self,
        module: u64,
        region: u32,
        offset: u64,
        size: u64,
    ) -> Result<u64, CUresult> {
        let taken = self.cuda.modules.contains_key(&module);
        if taken || self.cuda.modules.len() >= MOST_MODULES {
            return Err(INVALID);
        }
        let image = self.image(region, offset, size)?;
        let loaded = self.engine()?.module_load(&image);
        let info = loaded.map_err(|error| self.refused(error))?;
        let length = describe(&info).encode().len() as u64;
        self.cuda.modules.insert(module, info);
        Ok(length)
    }

    fn module_describe(&mut self, module: u64, region: u32, offset: u64, capacity: u64) -> Done {
        let description = describe(self.module(module)?).encode();
        self.put(&description, region, offset, capacity)
    }

    fn refusal(&mut self, region: u32, offset: u64, capacity: u64) -> Result<u64, CUresult> {
        let text = self.cuda.refusal.as_bytes();
        let most = usize::try_from(capacity).unwrap_or(usize::MAX);
        let length = text.len().min(most);
        self.put(&text[..length], region, offset, capacity)?;
        Ok(length as u64)
    }

    fn link_create(&mut self, link: u64) -> Done {
        let full = self.cuda.links.len() >= 2 * limits::LINKS;
        if full || self.cuda.links.contains_key(&link) {
            return Err(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        }
        let id = self.engine()?.link_create().map_err(told)?;
        let image = Vec::new();
        self.cuda.links.insert(link, Link { id, image });
        Ok(())
    }

    fn link_add(
        &mut self,
        link: u64,
        kind: u32,
        region: u32,
        offset: u64,
        size: u64,
        data: &[u8],
    ) -> Done {
        let id = self.link(link)?.id;
        let input = LinkInput::new(kind).ok_or(INVALID)?;
        let image = self.image(region, offset, size)?;
        let name = String::from_utf8_lossy(data);
        let added = self.engine()?.link_add(id, input, &name, &image);
        added.map_err(|error| self.refused(error))
    }

    fn link_complete(&mut self, link: u64) -> Result<u64, CUresult> {
        let id = self.link(link)?.id;
        let linked = self.engine()?.link_complete(id);
        let image = linked.map_err(|error| self.refused(error))?;
        let length = image.len() as u64;
        if let Some(link) = self.cuda.links.get_mut(&link) {
            link.image = image;
        }
        Ok(length)
    }

    fn link_image(&mut self, link: u64, region: u32, offset: u64, capacity: u64) -> Done {
        self.put(&self.link(link)?.image, region, offset, capacity)
    }

    fn link_destroy(&mut self, link: u64) -> Done {
        let link = self.cuda.links.remove(&link).ok_or(NO_HANDLE)?;
        self.engine()?.link_destroy(link.id).map_err(told)
    }

    fn module_unload(&mut self, module: u64) -> Done {
        let info = self.cuda.modules.remove(&module).ok_or(NO_HANDLE)?;
        self.engine()?.module_unload(info.id).map_err(told)
    }

    fn launch(
        &mut self,
        module: u64,
        function: u32,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: u32,
        stream: u64,
        data: &[u8],
    ) -> Done {
        self.stream(stream)?;
        let info = self.cuda.modules.get(&module).ok_or(NO_HANDLE)?;
        let function = info.functions.get(function as usize).ok_or(NO_HANDLE)?;
        let launch = Launch {
            module: info.id,
            function: &function.name,
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            shared,
            parameters: data,
        };
        let engine = self.cuda.engine.as_mut();
        let engine = engine.ok_or(CUresult::CUDA_ERROR_NOT_INITIALIZED)?;
        let done = engine.launch(&launch);
        let text = engine.take_printed();
        if !text.is_empty() {
            let printed = &mut self.cuda.printed;
            printed.add(&text);
            // At once: where the launch failed, the program asks for nothing more.
            let sent = printed.send(self.session.slice);
            sent.map_err(|_| CUresult::CUDA_ERROR_UNKNOWN)?;
        }
        done.map_err(told)
    }
}
