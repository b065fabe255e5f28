//! An engine that others share: it works under leases, and has no more memory than its machine may.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vgpu_engine::{
    Counters, DevicePtr, Engine, Error, ErrorKind, Launch, LinkId, LinkInput, MemoryId, MemoryInfo,
    ModuleId, ModuleInfo, Pattern, Properties, Result,
};
use vgpu_gate::{Count, Gate};
use vgpu_ledger::Kind;

/// What an allocation takes of a quota: a multiple of it.
const GRANULE: u64 = 512;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// A worker's gate, for its engine and for who knows when the session rests.
#[derive(Clone, Debug)]
pub(crate) struct SharedGate(Arc<Mutex<Gate>>);

impl SharedGate {
    pub(crate) fn new(gate: Gate) -> Self {
        Self(Arc::new(Mutex::new(gate)))
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Gate::outlive`].
    pub(crate) fn outlive(&self) {
        self.lock().outlive();
    }

    /// As [`Gate::reconnect`]; the error is for the log.
    pub(crate) fn reconnect(&self, socket: OwnedFd) -> std::result::Result<(), String> {
        self.lock()
            .reconnect(socket)
            .map_err(|error| error.to_string())
    }

    /// So many bytes of commands wait.
    pub(crate) fn set_queued(&self, bytes: u64) {
        self.lock().page().set(Count::Queued, bytes);
    }

    /// The session has nothing to do for a while. An error shows at the next command.
    pub(crate) fn rest(&self) {
        let _ = self.lock().rest();
    }
}

/// How long something took, lately: seven parts of what it was, one of what it is.
#[derive(Clone, Copy, Debug, Default)]
struct Lately(u64);

impl Lately {
    fn learn(&mut self, took: u64) {
        self.0 = match self.0 {
            0 => took,
            was => was - was / 8 + took / 8,
        };
    }
}

/// An engine behind a gate.
pub(crate) struct Shared {
    engine: Box<dyn Engine>,
    gate: SharedGate,
    properties: Properties,
    /// How long kernels take, by module and name.
    kernels: HashMap<ModuleId, HashMap<String, Lately>>,
    /// How long a MiB takes that is copied.
    copies: Lately,
    /// What each takes of the quota.
    memories: BTreeMap<MemoryId, u64>,
    modules: BTreeMap<ModuleId, u64>,
}

impl Shared {
    pub(crate) fn new(engine: Box<dyn Engine>, gate: SharedGate) -> Self {
        let quota = gate.lock().place().ledger().quota(Kind::Device);
        let mut properties = engine.properties().clone();
        properties.total_memory = properties.total_memory.min(quota);
        Self {
            engine,
            gate,
            properties,
            kernels: HashMap::new(),
            copies: Lately::default(),
            memories: BTreeMap::new(),
            modules: BTreeMap::new(),
        }
    }

    /// Has the engine work under a lease; gives how long it did, too.
    fn work<T>(
        &mut self,
        estimate: u64,
        work: impl FnOnce(&mut dyn Engine) -> Result<T>,
    ) -> Result<(T, u64)> {
        let pass = self.gate.lock().enter(estimate).map_err(gone)?;
        let done = work(&mut *self.engine);
        let mut gate = self.gate.lock();
        let took = gate.leave(&pass);
        if done.is_err() {
            gate.page().add(Count::Errors, 1);
        }
        Ok((done?, took))
    }

    /// The same for a copy of so many bytes, which are counted.
    fn copying(
        &mut self,
        bytes: u64,
        count: Count,
        work: impl FnOnce(&mut dyn Engine) -> Result<()>,
    ) -> Result<()> {
        let parts = bytes as f64 / MIB;
        let estimate = (self.copies.0 as f64 * parts) as u64;
        let ((), took) = self.work(estimate, work)?;
        if parts >= 1.0 / 16.0 {
            self.copies.learn((took as f64 / parts) as u64);
        }
        let gate = self.gate.lock();
        gate.page().add(Count::Copies, 1);
        gate.page().add(count, bytes);
        Ok(())
    }

    /// Makes something that takes device memory, where the machine's quota has room for it.
    fn taking<T>(
        &mut self,
        bytes: u64,
        make: impl FnOnce(&mut dyn Engine) -> Result<T>,
    ) -> Result<T> {
        let gate = self.gate.lock();
        let reserved = gate.place().reserve(Kind::Device, bytes);
        let reserved = reserved
            .map_err(|full| Error::new(ErrorKind::OutOfMemory, format!("the quota: {full}")))?;
        let made = make(&mut *self.engine)?;
        reserved.commit();
        Ok(made)
    }

    fn give_back(&self, bytes: u64) {
        self.gate.lock().place().release(Kind::Device, bytes);
    }
}

#[allow(clippy::needless_pass_by_value)]
fn gone(error: vgpu_gate::Error) -> Error {
    Error::new(ErrorKind::DeviceUnavailable, error.to_string())
}

/// What so many bytes take of a quota.
const fn taken(bytes: u64) -> u64 {
    bytes.div_ceil(GRANULE).saturating_mul(GRANULE)
}

impl Engine for Shared {
    fn properties(&self) -> &Properties {
        &self.properties
    }

    fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// What the machine may have, and what of that is left.
    fn memory_info(&self) -> MemoryInfo {
        let has = self.engine.memory_info();
        let gate = self.gate.lock();
        let ledger = gate.place().ledger();
        let quota = ledger.quota(Kind::Device);
        let left = quota.saturating_sub(ledger.used(Kind::Device));
        MemoryInfo {
            free: has.free.min(left),
            total: has.total.min(quota),
        }
    }

    fn alloc(&mut self, size: u64) -> Result<DevicePtr> {
        self.taking(taken(size), |engine| engine.alloc(size))
    }

    fn free(&mut self, address: DevicePtr) -> Result<()> {
        let size = self.engine.allocation(address).map(|(_, size)| size);
        self.engine.free(address)?;
        self.give_back(taken(size.unwrap_or_default()));
        Ok(())
    }

    fn allocation(&self, address: DevicePtr) -> Result<(DevicePtr, u64)> {
        self.engine.allocation(address)
    }

    fn memory_create(&mut self, size: u64) -> Result<MemoryId> {
        let memory = self.taking(taken(size), |engine| engine.memory_create(size))?;
        self.memories.insert(memory, taken(size));
        Ok(memory)
    }

    fn memory_destroy(&mut self, memory: MemoryId) -> Result<()> {
        self.engine.memory_destroy(memory)?;
        let bytes = self.memories.remove(&memory);
        self.give_back(bytes.unwrap_or_default());
        Ok(())
    }

    fn memory_map(&mut self, memory: MemoryId, address: DevicePtr) -> Result<()> {
        self.engine.memory_map(memory, address)
    }

    fn memory_unmap(&mut self, address: DevicePtr) -> Result<()> {
        self.engine.memory_unmap(address)
    }

    fn write(&mut self, to: DevicePtr, from: &[u8]) -> Result<()> {
        let bytes = from.len() as u64;
        self.copying(bytes, Count::BytesIn, |engine| engine.write(to, from))
    }

    fn read(&mut self, from: DevicePtr, to: &mut [u8]) -> Result<()> {
        let bytes = to.len() as u64;
        self.copying(bytes, Count::BytesOut, |engine| engine.read(from, to))
    }

    fn copy(&mut self, to: DevicePtr, from: DevicePtr, length: u64) -> Result<()> {
        self.copying(length, Count::BytesInside, |engine| {
            engine.copy(to, from, length)
        })
    }

    fn fill(&mut self, to: DevicePtr, pattern: Pattern, count: u64) -> Result<()> {
        let bytes = count.saturating_mul(pattern.size());
        self.copying(bytes, Count::BytesInside, |engine| {
            engine.fill(to, pattern, count)
        })
    }

    /// What its variables take is known once it is loaded.
    fn module_load(&mut self, image: &[u8]) -> Result<ModuleInfo> {
        let info = self.engine.module_load(image)?;
        let bytes = info.globals.iter().map(|global| taken(global.size.max(1)));
        let bytes = bytes.fold(0, u64::saturating_add);
        if let Err(full) = self.taking(bytes, |_| Ok(())) {
            self.engine.module_unload(info.id)?;
            return Err(full);
        }
        self.modules.insert(info.id, bytes);
        Ok(info)
    }

    fn module_unload(&mut self, module: ModuleId) -> Result<()> {
        self.engine.module_unload(module)?;
        self.kernels.remove(&module);
        let bytes = self.modules.remove(&module);
        self.give_back(bytes.unwrap_or_default());
        Ok(())
    }

    fn link_create(&mut self) -> Result<LinkId> {
        self.engine.link_create()
    }

    fn link_add(&mut self, link: LinkId, input: LinkInput, name: &str, image: &[u8]) -> Result<()> {
        self.engine.link_add(link, input, name, image)
    }

    fn link_complete(&mut self, link: LinkId) -> Result<Vec<u8>> {
        self.engine.link_complete(link)
    }

    fn link_destroy(&mut self, link: LinkId) -> Result<()> {
        self.engine.link_destroy(link)
    }

    fn launch(&mut self, launch: &Launch<'_>) -> Result<()> {
        let known = self.kernels.get(&launch.module);
        let known = known.and_then(|kernels| kernels.get(launch.function));
        let estimate = known.map_or(0, |lately| lately.0);
        let done = self.work(estimate, |engine| engine.launch(launch));
        self.gate.lock().page().add(Count::Launches, 1);
        let ((), took) = done?;
        let kernels = self.kernels.entry(launch.module).or_default();
        match kernels.get_mut(launch.function) {
            Some(lately) => lately.learn(took),
            None => {
                kernels.insert(launch.function.to_owned(), Lately(took));
            }
        }
        Ok(())
    }

    fn take_printed(&mut self) -> Vec<u8> {
        self.engine.take_printed()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use vgpu_engine_null::NullEngine;
    use vgpu_gate::Seat;
    use vgpu_ledger::Ledger;
    use vgpu_window::Window;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// An engine of 64 MiB with a quota, and the ledger; the seat is the daemon's.
    fn shared(quota: u64) -> (Shared, Ledger<Window>, Seat) {
        let (file, window) = Window::create(Ledger::<Window>::WORDS * 8).unwrap();
        let ledger = Ledger::new(window).unwrap();
        ledger.set_quota(Kind::Device, quota);
        let (seat, theirs) = Seat::open(file.as_fd(), 0).unwrap();
        let engine = NullEngine::new(64 * MIB, 1 << 40, 1 << 41);
        let gate = SharedGate::new(Gate::connect(theirs).unwrap());
        (Shared::new(Box::new(engine), gate), ledger, seat)
    }

    #[test]
    fn a_machine_sees_its_quota_and_has_no_more() {
        let (mut engine, ledger, _seat) = shared(8 * MIB);
        let info = |engine: &Shared| {
            (
                engine.memory_info().free / 512,
                engine.memory_info().total / 512,
            )
        };
        assert_eq!(engine.properties().total_memory, 8 * MIB);
        assert_eq!(info(&engine), (16 << 10, 16 << 10));
        let one = engine.alloc(3 * MIB + 1).unwrap();
        assert_eq!(info(&engine), ((10 << 10) - 1, 16 << 10));
        let refused = engine.alloc(5 * MIB).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::OutOfMemory);
        // Another session of the machine has some.
        let other = ledger.place(1).unwrap();
        other.reserve(Kind::Device, 4 * MIB).unwrap().commit();
        assert_eq!(engine.alloc(MIB).unwrap_err().kind, ErrorKind::OutOfMemory);
        engine.free(one).unwrap();
        assert!(engine.free(one).is_err());
        assert_eq!(ledger.used_by(Kind::Device, 0), 0);
        let memory = engine.memory_create(4 * MIB).unwrap();
        assert!(engine.memory_create(2 * MIB).is_err());
        engine.memory_destroy(memory).unwrap();
        assert_eq!(ledger.used(Kind::Device), 4 * MIB);
        ledger.set_quota(Kind::Device, u64::MAX);
        assert_eq!(
            engine.memory_info().total,
            64 * MIB,
            "the device has no more"
        );
        assert!(engine.alloc(65 * MIB).is_err());
        assert_eq!(
            ledger.used_by(Kind::Device, 0),
            0,
            "what was reserved is given back"
        );
    }

    #[test]
    fn a_modules_variables_are_of_the_quota() {
        let (mut engine, ledger, _seat) = shared(MIB);
        let image = |bytes: u64| {
            format!(
                ".version 7.0\n.target sm_70\n.address_size 64\n.global .align 8 .b8 v[{bytes}];\n"
            )
        };
        let info = engine.module_load(image(MIB / 2).as_bytes()).unwrap();
        assert_eq!(ledger.used(Kind::Device), MIB / 2);
        let refused = engine.module_load(image(MIB).as_bytes()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::OutOfMemory);
        assert_eq!(engine.engine.memory_info().free, 64 * MIB - MIB / 2);
        engine.module_unload(info.id).unwrap();
        assert_eq!(ledger.used(Kind::Device), 0);
    }
}
