//! What eight machines get of an engine, on a clock that is not the machine's.

use vgpu_sched::simulation::{Machine, Report, run};

fn of(text: &str) -> Report {
    run(&toml::from_str(text).unwrap()).unwrap()
}

fn named<'a>(report: &'a Report, name: &str) -> &'a Machine {
    let found = report.machines.iter().find(|vm| vm.name == name);
    found.unwrap_or_else(|| panic!("{name}: {report:?}"))
}

#[test]
fn equal_weights_are_equal_shares_whatever_the_kernels() {
    let lengths = [
        "50",
        "100",
        "[10, 900]",
        "1000",
        "[1, 3000]",
        "1900",
        "2500",
        "7000",
    ];
    let vms = lengths.iter().enumerate().map(|(n, length)| {
        format!(
            "[[vm]]\nname = \"vm{n}\"\nkernel-us = {length}\nsessions = {}\n",
            1 + n % 3
        )
    });
    let report = of(&format!("seconds = 20\n{}", vms.collect::<String>()));
    assert!(report.jain.unwrap() >= 0.99, "{report:?}");
    assert!(report.utilisation > 0.999, "{report:?}");
}

#[test]
fn weights_are_kept_within_two_percent() {
    let weights = [1, 2, 4, 1, 2, 4, 1, 2];
    for base in [1, 100] {
        let vms = weights.iter().enumerate().map(|(n, weight)| {
            let weight = weight * base;
            format!("[[vm]]\nname = \"vm{n}\"\nweight = {weight}\nkernel-us = [100, 1500]\n")
        });
        let report = of(&format!(
            "seconds = 30\nswitch-us = 20\n{}",
            vms.collect::<String>()
        ));
        let all: u32 = weights.iter().sum();
        for (vm, weight) in report.machines.iter().zip(weights) {
            let due = f64::from(weight) / f64::from(all);
            assert!((vm.share / due - 1.0).abs() < 0.02, "{due}: {vm:?}");
        }
    }
}

/// One machine has all that it can send waiting; seven want a kernel now and then.
#[test]
fn a_flood_makes_nobody_wait_longer_than_the_window() {
    let report = of("seconds = 60\n\
         [[vm]]\nname = \"flood\"\nkernel-us = 500\nsessions = 8\ndepth = 1024\n\
         [[vm]]\nname = \"other\"\ncount = 7\nkernel-us = 200\nevery-us = 200000\n");
    let flood = named(&report, "flood");
    assert!(flood.share > 0.98 && flood.kernels > 110_000, "{flood:?}");
    for vm in &report.machines[1..] {
        assert!(vm.kernels > 200, "{vm:?}");
        assert!(vm.p99_ms.unwrap() <= 2.0 + 0.2, "{vm:?}");
    }
}

/// Its weight does not let a machine keep the engine for longer at a time.
#[test]
fn a_flood_of_great_weight_makes_nobody_wait_longer_either() {
    let report = of("seconds = 60\n\
         [[vm]]\nname = \"flood\"\nweight = 10000\nkernel-us = 500\nsessions = 8\ndepth = 1024\n\
         [[vm]]\nname = \"other\"\ncount = 7\nkernel-us = 200\nevery-us = 200000\n");
    for vm in &report.machines[1..] {
        assert!(vm.p99_ms.unwrap() <= 2.0 + 0.2, "{vm:?}");
    }
}

#[test]
fn nobody_starves() {
    let report = of("seconds = 20\n\
         [[vm]]\nname = \"high\"\ncount = 6\npriority = \"high\"\nweight = 1000\nkernel-us = [100, 3000]\n\
         [[vm]]\nname = \"medium\"\nkernel-us = 1000\n\
         [[vm]]\nname = \"low\"\npriority = \"low\"\nweight = 1\nkernel-us = 1000\n");
    let [medium, low] = ["medium", "low"].map(|name| named(&report, name));
    // A lease of 2 ms each time that it has waited for 50 ms, or for twice as long, whatever its weight.
    assert!((0.03..0.05).contains(&medium.share), "{medium:?}");
    assert!((0.015..0.025).contains(&low.share), "{low:?}");
    // 16 kernels wait, two of which are done at a time.
    assert!(low.longest_ms.unwrap() < 8.0 * 110.0, "{low:?}");
}

#[test]
fn many_of_low_priority_do_not_come_before_others() {
    let report = of("seconds = 20\n\
         [[vm]]\nname = \"high\"\npriority = \"high\"\nkernel-us = 500\n\
         [[vm]]\nname = \"low\"\ncount = 29\npriority = \"low\"\nkernel-us = 500\n");
    assert!(report.machines[0].share > 0.85, "{report:?}");
    for low in &report.machines[1..] {
        assert!(low.share > 0.003, "{low:?}");
    }
}

#[test]
fn a_hung_kernel_costs_its_own_machine_alone() {
    let scenario = |hang: &str| {
        format!(
            "seconds = 60\n\
             [engine]\nwatchdog-ms = 500\npatience-ms = 20\n\
             [[vm]]\nname = \"sick\"\nkernel-us = 500\n{hang}\n\
             [[vm]]\nname = \"well\"\ncount = 7\nkernel-us = 500\n"
        )
    };
    let usual = of(&scenario(""));
    let hung = of(&scenario("hang-after = 1000"));
    let sick = named(&hung, "sick");
    assert!(sick.quarantined && sick.expired == 3, "{sick:?}");
    for name in (1..=7).map(|n| format!("well-{n}")) {
        let [before, after] = [&usual, &hung].map(|report| named(report, &name));
        assert!(after.kernels >= before.kernels, "{before:?} {after:?}");
        assert!(
            after.p99_ms.unwrap() <= before.p99_ms.unwrap() * 1.01,
            "{before:?} {after:?}"
        );
        // Three times the window and the patience, at most.
        assert!(
            after.longest_ms.unwrap() < before.longest_ms.unwrap() + 3.0 * 22.0,
            "{after:?}"
        );
        assert!(after.expired == 0 && !after.quarantined, "{after:?}");
    }
}

#[test]
fn caps_and_rates_hold_on_an_engine_that_nobody_else_uses() {
    for (limit, kernel, due) in [
        ("cap-percent = 25", 300, 0.25),
        ("rate-percent = 10\nburst-ms = 500", 300, 0.10 + 0.5 / 10.0),
        (
            "cap-percent = 50\nrate-percent = 20\nburst-ms = 10",
            5000,
            0.20,
        ),
    ] {
        let report = of(&format!(
            "seconds = 10\n[[vm]]\nname = \"a\"\nkernel-us = {kernel}\n{limit}\n"
        ));
        let found = report.utilisation;
        assert!((found / due - 1.0).abs() < 0.02, "{limit}: {found}");
    }
}

/// A machine that rests a moment after each piece of work gains nothing by that.
#[test]
fn resting_gains_nothing() {
    let report = of("seconds = 30\n\
         [[vm]]\nname = \"rests\"\nkernel-us = 2000\nevery-us = 4000\ndepth = 1\n\
         [[vm]]\nname = \"works\"\nweight = 300\nkernel-us = 500\n");
    let rests = named(&report, "rests");
    assert!(rests.share < 0.27, "{rests:?}");
    assert!(rests.share > 0.15, "{rests:?}");
}

#[test]
fn what_one_leaves_the_others_get() {
    let report = of("seconds = 30\n\
         [[vm]]\nname = \"early\"\nkernel-us = 500\nuntil-ms = 10000\n\
         [[vm]]\nname = \"late\"\nkernel-us = 500\nfrom-ms = 20000\n\
         [[vm]]\nname = \"always\"\nkernel-us = 500\n");
    assert!(report.utilisation > 0.999, "{report:?}");
    let shares = ["early", "late", "always"].map(|name| named(&report, name).share);
    for (share, due) in shares.into_iter().zip([1.0 / 6.0, 1.0 / 6.0, 4.0 / 6.0]) {
        assert!((share / due - 1.0).abs() < 0.01, "{shares:?}");
    }
}

#[test]
fn the_same_scenario_gives_the_same_report() {
    let text = "seconds = 5\nseed = 7\n[[vm]]\nname = \"a\"\ncount = 8\nkernel-us = [1, 5000]\nevery-us = 3000\n";
    let [one, two] = [of(text), of(text)].map(|report| format!("{report:?}"));
    assert_eq!(one, two);
    let other = format!("{:?}", of(&text.replace("seed = 7", "seed = 8")));
    assert_ne!(one, other);
}

#[test]
fn a_wrong_scenario_is_told() {
    let vm = "[[vm]]\nname = \"a\"\nkernel-us = 100\n";
    for (text, said) in [
        (format!("seconds = 0\n{vm}"), "seconds are from 1"),
        (format!("seconds = 1\n{vm}weight = 0\n"), "vm \"a\": weight"),
        (format!("seconds = 1\n{vm}count = 257\n"), "257 machines"),
        (format!("seconds = 1\n{vm}cap-percent = 0\n"), "cap-percent"),
        (
            "seconds = 1\n[[vm]]\nname = \"a\"\nkernel-us = [3, 2]\n".to_owned(),
            "kernel-us",
        ),
        ("seconds = 1\nvm = []\n".to_owned(), "0 machines"),
        (format!("seconds = 1\n{vm}every-us = 0\n"), "every-us"),
        (
            format!("seconds = 1\n[engine]\nwindow-us = 0\n{vm}"),
            "window-us",
        ),
    ] {
        let error = run(&toml::from_str(&text).unwrap()).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
}
