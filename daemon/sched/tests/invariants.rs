//! What holds whatever sessions do, in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vgpu_sched::{Config, Decision, Nanos, Priority, Rate, Refused, Scheduler, SessionId, Share};

/// What somebody may do next.
#[derive(Clone, Debug)]
enum Step {
    SetVm(u64, Share),
    Open(u64),
    /// By its place among the open ones, as all that follow.
    Close(usize),
    Submit(usize),
    Finish(usize),
    Done(usize),
    Kernel(usize),
    Quarantine(u64, bool),
    Pass(Nanos),
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    let rate = (1_u32..=1_000_000, 1_u64..5_000_000)
        .prop_map(|(millionths, burst)| Rate { millionths, burst });
    proptest::option::weighted(0.3, rate)
}

fn share() -> impl Strategy<Value = Share> {
    let priority = prop_oneof![
        Just(Priority::Low),
        Just(Priority::Medium),
        Just(Priority::High)
    ];
    (1_u32..=10_000, priority, rate(), rate(), 1_u32..4, 1_u32..4).prop_map(
        |(weight, priority, cap, rate, queue, sessions)| Share {
            weight,
            priority,
            cap,
            rate,
            queue,
            sessions,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let vm = 0_u64..5;
    let place = 0_usize..12;
    prop_oneof![
        1 => (vm.clone(), share()).prop_map(|(vm, share)| Step::SetVm(vm, share)),
        3 => vm.clone().prop_map(Step::Open),
        1 => place.clone().prop_map(Step::Close),
        8 => place.clone().prop_map(Step::Submit),
        3 => place.clone().prop_map(Step::Finish),
        6 => place.clone().prop_map(Step::Done),
        2 => place.prop_map(Step::Kernel),
        1 => (vm, any::<bool>()).prop_map(|(vm, on)| Step::Quarantine(vm, on)),
        6 => (0_u64..50_000_000).prop_map(Step::Pass),
    ]
}

/// What is known of an open session.
#[derive(Debug)]
struct Known {
    id: SessionId,
    vm: u64,
    queued: u32,
    /// Since when it has a lease, and when that should come back.
    lease: Option<(Nanos, Option<Nanos>)>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn leases_are_given_as_they_may_be(steps in proptest::collection::vec(step(), 1..120)) {
        let config = Config { watchdog: 200_000_000, ..Config::default() };
        let mut scheduler = Scheduler::new(config);
        let mut open: Vec<Known> = Vec::new();
        let mut shares: BTreeMap<u64, Share> = BTreeMap::new();
        let mut used: BTreeMap<u64, Nanos> = BTreeMap::new();
        let mut now = 0;
        for step in steps {
            let place = |place: usize, open: &Vec<Known>| (!open.is_empty()).then(|| place % open.len());
            match step {
                Step::SetVm(vm, share) => {
                    scheduler.set_vm(vm, share);
                    shares.insert(vm, share);
                }
                Step::Open(vm) => {
                    let held = open.iter().filter(|it| it.vm == vm).count();
                    match (scheduler.open(vm, now), shares.get(&vm)) {
                        (Ok(id), Some(share)) => {
                            prop_assert!(held < share.sessions as usize);
                            prop_assert!(!scheduler.is_quarantined(vm));
                            open.push(Known { id, vm, queued: 0, lease: None });
                        }
                        (Err(Refused::UnknownVm), share) => prop_assert!(share.is_none()),
                        (Err(Refused::Sessions(most)), _) => prop_assert!(held >= most as usize),
                        (Err(error), _) => {
                            prop_assert_eq!(error, Refused::Quarantined);
                            prop_assert!(scheduler.is_quarantined(vm));
                        }
                        (Ok(_), None) => prop_assert!(false, "a session of no machine"),
                    }
                }
                Step::Close(at) => if let Some(at) = place(at, &open) {
                    let known = open.swap_remove(at);
                    if let Some((since, _)) = known.lease {
                        *used.entry(known.vm).or_default() += now - since;
                    }
                    scheduler.close(known.id, now);
                    prop_assert_eq!(scheduler.submit(known.id, now), Err(Refused::UnknownSession));
                },
                Step::Submit(at) => if let Some(at) = place(at, &open) {
                    let queue = shares[&open[at].vm].queue;
                    match scheduler.submit(open[at].id, now) {
                        Ok(()) => {
                            open[at].queued += 1;
                            prop_assert!(open[at].queued <= queue);
                        }
                        Err(error) => {
                            prop_assert_eq!(error, Refused::Queue(queue));
                            prop_assert!(open[at].queued >= queue);
                        }
                    }
                },
                Step::Finish(at) => if let Some(at) = place(at, &open) {
                    scheduler.finish(open[at].id);
                    if open[at].lease.is_some() {
                        open[at].queued = open[at].queued.saturating_sub(1);
                    }
                },
                Step::Done(at) => if let Some(at) = place(at, &open) {
                    if let Some((since, _)) = open[at].lease.take() {
                        *used.entry(open[at].vm).or_default() += now - since;
                        scheduler.done(open[at].id, now, now - since);
                    } else {
                        scheduler.done(open[at].id, now, 1_000_000_000);
                    }
                },
                Step::Kernel(at) => if let Some(at) = place(at, &open) {
                    scheduler.set_kernel(open[at].id, Some(now));
                },
                Step::Quarantine(vm, on) => scheduler.set_quarantine(vm, on),
                Step::Pass(time) => now += time,
            }
            while let Some(expired) = scheduler.expire(now) {
                let known = open.iter().find(|it| it.id == expired.session).unwrap();
                // Only who has a lease, and that for as long as the watchdog waits.
                prop_assert!(known.lease.unwrap().0 + config.watchdog <= now);
            }
            while let Some(id) = scheduler.recall(now) {
                let known = open.iter_mut().find(|it| it.id == id).unwrap();
                let (since, due) = known.lease.unwrap();
                prop_assert_eq!(due, None, "recalled once");
                known.lease = Some((since, Some(now)));
            }
            loop {
                match scheduler.next(now) {
                    Decision::Grant(lease) => {
                        let out = open.iter().filter_map(|it| it.lease);
                        for (_, due) in out {
                            prop_assert!(due.is_some_and(|due| due + config.patience <= now), "two at once");
                        }
                        let others = open.iter().filter(|it| it.queued > 0 || it.lease.is_some()).count();
                        let known = open.iter_mut().find(|it| it.id == lease.session).unwrap();
                        prop_assert!(known.queued > 0 && known.lease.is_none());
                        prop_assert!((1..=config.window).contains(&lease.time), "{:?}", lease);
                        prop_assert!(!scheduler.is_quarantined(known.vm));
                        let share = shares[&known.vm];
                        let bounded = share.cap.is_some() || share.rate.is_some();
                        prop_assert_eq!(lease.open, others == 1 && !bounded);
                        known.lease = Some((now, (!lease.open).then(|| now + lease.time)));
                    }
                    Decision::Wait(until) => {
                        prop_assert!(until.is_none_or(|until| until > now), "{:?} {}", until, now);
                        // The engine does not rest while somebody waits who may have it.
                        let out = open.iter().filter_map(|it| it.lease);
                        let out: Vec<_> = out.collect();
                        let free = out.iter().all(|(_, due)| due.is_some_and(|due| due + config.patience <= now));
                        let waits = open.iter().filter(|it| it.queued > 0 && it.lease.is_none());
                        let mut may = waits.filter(|it| {
                            let share = shares[&it.vm];
                            let served = open.iter().any(|other| other.vm == it.vm && other.lease.is_some());
                            !scheduler.is_quarantined(it.vm) && share.cap.is_none() && share.rate.is_none() && !served
                        });
                        prop_assert!(!free || may.next().is_none(), "idle");
                        break;
                    }
                }
            }
            for known in &open {
                prop_assert_eq!(scheduler.queued(known.id), Some(known.queued));
                prop_assert_eq!(scheduler.leased_since(known.id), known.lease.map(|(since, _)| since));
            }
        }
        for (vm, time) in used {
            prop_assert_eq!(scheduler.vm_usage(vm).unwrap().time, time);
        }
    }

    /// Whatever kernels take and weights are: two that always have work get what their weights say, but for two leases
    /// and the longest kernel.
    #[test]
    fn two_get_what_their_weights_say(
        weights in (1_u32..=10_000, 1_u32..=10_000),
        lengths in proptest::collection::vec((1_000_u64..8_000_000, 1_000_u64..8_000_000), 1..20),
    ) {
        let mut scheduler = Scheduler::new(Config::default());
        let weights = [weights.0, weights.1];
        let sessions = [0, 1].map(|vm| {
            scheduler.set_vm(vm, Share { weight: weights[vm as usize], ..Share::default() });
            scheduler.open(vm, 0).unwrap()
        });
        for session in sessions {
            scheduler.submit(session, 0).unwrap();
        }
        let mut now = 0;
        for (one, other) in lengths.iter().cycle().take(1_000) {
            let Decision::Grant(lease) = scheduler.next(now) else { panic!() };
            let length = if lease.session == sessions[0] { *one } else { *other };
            now += length;
            scheduler.done(lease.session, now, length);
        }
        let times = [0, 1].map(|vm| scheduler.vm_usage(vm).unwrap().time as f64);
        let normal = [0, 1].map(|n| times[n] / f64::from(weights[n]));
        // A round's credit, and what a kernel may take beyond it.
        let lightest = f64::from(*weights.iter().min().unwrap());
        let slack = 2.0 * 2e6 / 100.0 + 3.0 * 8e6 / lightest;
        prop_assert!((normal[0] - normal[1]).abs() <= slack, "{:?} {:?}", normal, slack);
    }
}
