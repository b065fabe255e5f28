//! A machine's ledger, and what its sessions have done that are over.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use vgpu_gate::{Count, Seat, Series, Times};
use vgpu_ledger::{Kind, Ledger, Places};
use vgpu_sched::VmId;
use vgpu_window::Window;

use crate::settings::MachineSettings;

/// What was counted and measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) latency: Times,
    pub(super) wait: Times,
}

impl Totals {
    /// What a worker says of its session.
    pub(super) fn of(seat: &Seat) -> Self {
        let page = seat.page();
        let counts = Count::ALL
            .iter()
            .map(|(count, name)| (*name, page.count(*count)));
        Self {
            counts: counts.collect(),
            latency: page.times(Series::Latency),
            wait: page.times(Series::Wait),
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (name, more) in &other.counts {
            let count = self.counts.entry(name).or_default();
            *count = count.saturating_add(*more);
        }
        self.latency.merge(&other.latency);
        self.wait.merge(&other.wait);
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) id: VmId,
    pub(super) settings: MachineSettings,
    pub(super) file: OwnedFd,
    pub(super) ledger: Ledger<Window>,
    pub(super) places: Places,
    pub(super) quarantined: bool,
    /// Of sessions that are over.
    pub(super) past: Totals,
    /// Sessions that were opened.
    pub(super) sessions: u64,
}

impl Machine {
    pub(super) fn new(id: VmId, settings: &MachineSettings) -> io::Result<Self> {
        let created = Window::create(Ledger::<Window>::WORDS * 8);
        let (file, window) = created.map_err(io::Error::other)?;
        let ledger = Ledger::new(window).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            id,
            settings: settings.clone(),
            file,
            ledger,
            places: Places::default(),
            quarantined: false,
            past: Totals::default(),
            sessions: 0,
        })
    }

    pub(super) fn set(&mut self, settings: &MachineSettings) {
        self.ledger.set_quota(Kind::Device, settings.device_memory);
        self.ledger.set_quota(Kind::Pinned, settings.limits.memory);
        self.settings = settings.clone();
    }

    /// A session is over: what it had goes back, and what it has done is kept.
    pub(super) fn end_session(&mut self, seat: &Seat, place: usize) {
        let mut totals = Totals::of(seat);
        // What waits, waits no more.
        totals.counts.insert("queued_bytes", 0);
        self.past.add(&totals);
        self.sessions += 1;
        self.ledger.close(place);
        self.places.give_back(place);
    }
}
