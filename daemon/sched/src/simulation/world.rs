//! The engine, the sessions that use it, and the clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::report::{Machine, Report, jain, milliseconds, percentile};
use super::scenario::{MILLISECOND, Scenario, VmScenario};
use crate::{Decision, Lease, Nanos, Scheduler, SessionId, VmId};

/// What happens. What is of a session that has ended since is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client, by its place, begins.
    Begin(usize),
    /// A kernel comes.
    Arrival(usize),
    /// A kernel ends.
    End(SessionId),
    /// The scheduler wants to be asked again.
    Look,
}

/// What sends kernels, by one session at a time.
struct Client {
    vm: usize,
    session: Option<SessionId>,
    /// When each kernel that waits came, and how long it takes: `None` is for ever.
    queue: VecDeque<(Nanos, Option<Nanos>)>,
    sent: u32,
    /// The lease that it has, when it began, and whether it is to come back.
    lease: Option<(Lease, Nanos, bool)>,
}

struct Vm<'a> {
    scenario: &'a VmScenario,
    name: String,
    latencies: Vec<Nanos>,
    refused: u64,
    expired: u64,
}

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    scheduler: Scheduler,
    chance: fastrand::Rng,
    now: Nanos,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    number: u64,
    vms: Vec<Vm<'a>>,
    clients: Vec<Client>,
    of_session: BTreeMap<SessionId, usize>,
    /// The earliest time at which it is looked again.
    look: Option<Nanos>,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let config = scenario.engine.config();
        let mut world = Self {
            scenario,
            scheduler: Scheduler::new(config),
            chance: fastrand::Rng::with_seed(scenario.seed),
            now: 0,
            events: BinaryHeap::new(),
            number: 0,
            vms: Vec::new(),
            clients: Vec::new(),
            of_session: BTreeMap::new(),
            look: None,
        };
        for kind in &scenario.vm {
            for number in 1..=kind.count {
                world.add(kind, number);
            }
        }
        world
    }

    fn add(&mut self, kind: &'a VmScenario, number: u32) {
        let vm = self.vms.len();
        let window = self.scheduler.config().window;
        self.scheduler.set_vm(vm as VmId, kind.share(window));
        let name = match kind.count {
            1 => kind.name.clone(),
            _ => format!("{}-{number}", kind.name),
        };
        self.vms.push(Vm {
            scenario: kind,
            name,
            latencies: Vec::new(),
            refused: 0,
            expired: 0,
        });
        for _ in 0..kind.sessions {
            let client = self.clients.len();
            self.clients.push(Client {
                vm,
                session: None,
                queue: VecDeque::new(),
                sent: 0,
                lease: None,
            });
            self.at(u64::from(kind.from_ms) * MILLISECOND, Event::Begin(client));
        }
    }

    fn at(&mut self, time: Nanos, event: Event) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, event)));
    }

    pub(super) fn run(mut self) -> Report {
        let end = u64::from(self.scenario.seconds) * 1000 * MILLISECOND;
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            if time >= end {
                break;
            }
            self.now = time;
            match event {
                Event::Begin(client) => self.begin(client),
                Event::Arrival(client) => self.arrival(client),
                Event::End(session) => self.end_of_kernel(session),
                Event::Look => self.look = None,
            }
            self.divide();
        }
        self.now = end;
        self.report()
    }

    /// Opens a client's session, and has its first kernels come.
    fn begin(&mut self, place: usize) {
        let vm = self.clients[place].vm;
        let Ok(session) = self.scheduler.open(vm as VmId, self.now) else {
            return;
        };
        self.clients[place].session = Some(session);
        self.of_session.insert(session, place);
        match self.vms[vm].scenario.every_us {
            Some(_) => self.after_a_while(place),
            None => (0..self.vms[vm].scenario.depth).for_each(|_| self.arrival(place)),
        }
    }

    /// The next kernel of a client that does not always have one: the times between them are exponential.
    fn after_a_while(&mut self, place: usize) {
        let scenario = self.vms[self.clients[place].vm].scenario;
        if let Some(every) = scenario.every_us {
            let mean = f64::from(every) * 1000.0;
            let time = -(1.0 - self.chance.f64()).ln() * mean;
            self.at(
                self.now.saturating_add(time as Nanos),
                Event::Arrival(place),
            );
        }
    }

    fn arrival(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let scenario = self.vms[client.vm].scenario;
        let until = scenario.until_ms.map(|ms| u64::from(ms) * MILLISECOND);
        let Some(session) = client.session else {
            return;
        };
        if until.is_some_and(|until| self.now >= until) {
            return;
        }
        if self.scheduler.submit(session, self.now).is_err() {
            self.vms[client.vm].refused += 1;
        } else {
            client.sent += 1;
            let hangs = scenario
                .hang_after
                .is_some_and(|after| client.sent == after.saturating_add(1));
            let length = scenario.kernel_us.draw(&mut self.chance);
            client
                .queue
                .push_back((self.now, (!hangs).then_some(length)));
        }
        if scenario.every_us.is_some() {
            self.after_a_while(place);
        }
    }

    /// Has the scheduler say who goes on.
    fn divide(&mut self) {
        while let Some(expired) = self.scheduler.expire(self.now) {
            self.expired(expired.session);
        }
        while let Some(session) = self.scheduler.recall(self.now) {
            let place = self.of_session[&session];
            if let Some((_, _, back)) = &mut self.clients[place].lease {
                *back = true;
            }
        }
        let until = loop {
            match self.scheduler.next(self.now) {
                Decision::Grant(lease) => self.granted(lease),
                Decision::Wait(until) => break until,
            }
        };
        let next = [until, self.scheduler.deadline()]
            .into_iter()
            .flatten()
            .min();
        if let Some(next) = next.filter(|next| self.look.is_none_or(|look| *next < look)) {
            let next = next.max(self.now + 1);
            self.look = Some(next);
            self.at(next, Event::Look);
        }
    }

    fn granted(&mut self, lease: Lease) {
        let place = self.of_session[&lease.session];
        self.clients[place].lease = Some((lease, self.now, false));
        let switch = u64::from(self.scenario.switch_us) * 1000;
        self.start(place, self.now + switch);
    }

    /// Begins the first kernel that waits.
    fn start(&mut self, place: usize, at: Nanos) {
        let client = &self.clients[place];
        let (Some(session), Some((_, length))) = (client.session, client.queue.front()) else {
            return;
        };
        self.scheduler.set_kernel(session, Some(at));
        if let Some(length) = *length {
            self.at(at.saturating_add(length), Event::End(session));
        }
    }

    fn end_of_kernel(&mut self, session: SessionId) {
        let Some(&place) = self.of_session.get(&session) else {
            return;
        };
        let client = &mut self.clients[place];
        let Some((came, _)) = client.queue.pop_front() else {
            return;
        };
        let vm = client.vm;
        self.vms[vm].latencies.push(self.now - came);
        self.scheduler.set_kernel(session, None);
        self.scheduler.finish(session);
        if self.vms[vm].scenario.every_us.is_none() {
            self.arrival(place);
        }
        let client = &mut self.clients[place];
        let Some((lease, since, back)) = client.lease else {
            return;
        };
        let used = self.now - since;
        let left = lease.time.saturating_sub(used);
        // What is not known to end in time waits for the next lease.
        let fits = |(_, length): &(Nanos, Option<Nanos>)| length.is_none_or(|it| it <= left);
        let more = match client.queue.front() {
            None => false,
            Some(next) => !back && (lease.open || fits(next)),
        };
        if more {
            self.start(place, self.now);
        } else {
            client.lease = None;
            self.scheduler.done(session, self.now, used);
        }
    }

    /// Ends a client's session, and opens another.
    fn expired(&mut self, session: SessionId) {
        let Some(place) = self.of_session.remove(&session) else {
            return;
        };
        let client = &mut self.clients[place];
        client.queue.clear();
        (client.session, client.lease, client.sent) = (None, None, 0);
        self.vms[client.vm].expired += 1;
        self.scheduler.close(session, self.now);
        self.at(self.now + MILLISECOND, Event::Begin(place));
    }

    fn report(mut self) -> Report {
        let usage = |vm: usize| self.scheduler.vm_usage(vm as VmId).unwrap_or_default();
        let mut times: Vec<_> = (0..self.vms.len()).map(|vm| usage(vm).time).collect();
        for client in &self.clients {
            if let Some((_, since, _)) = client.lease {
                times[client.vm] += self.now - since;
            }
        }
        let all: Nanos = times.iter().sum();
        let whole_time = |vm: &Vm<'_>| {
            let always = vm.scenario.every_us.is_none() && vm.scenario.hang_after.is_none();
            always && vm.scenario.from_ms == 0 && vm.scenario.until_ms.is_none()
        };
        let busy = self.vms.iter().zip(&times).filter(|(vm, _)| whole_time(vm));
        let parts: Vec<_> = busy
            .map(|(vm, time)| *time as f64 / f64::from(vm.scenario.weight))
            .collect();
        let machines = self.vms.iter_mut().enumerate().zip(&times);
        let machines = machines.map(|((number, vm), &time)| {
            vm.latencies.sort_unstable();
            let times = &vm.latencies;
            let sum: u128 = times.iter().map(|it| u128::from(*it)).sum();
            let mean = (!times.is_empty()).then(|| sum as f64 / times.len() as f64 / 1e6);
            Machine {
                name: vm.name.clone(),
                weight: vm.scenario.weight,
                priority: vm.scenario.priority,
                engine_ms: milliseconds(time),
                share: time as f64 / (all as f64).max(1.0),
                kernels: times.len() as u64,
                refused: vm.refused,
                latency_ms: mean,
                p95_ms: percentile(times, 95).map(milliseconds),
                p99_ms: percentile(times, 99).map(milliseconds),
                longest_ms: times.last().copied().map(milliseconds),
                expired: vm.expired,
                quarantined: self.scheduler.is_quarantined(number as VmId),
            }
        });
        Report {
            seconds: milliseconds(self.now) / 1000.0,
            utilisation: all as f64 / self.now as f64,
            jain: jain(&parts),
            machines: machines.collect(),
        }
    }
}
