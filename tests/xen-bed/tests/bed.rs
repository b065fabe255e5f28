//! The bed itself: real guests on real Xen, and what goes wrong with scenarios and machines.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::steps::Steps;
use xen_bed::{Bed, Outcome, Scenario, XenVersion};

fn bed() -> Result<(Bed, GuestImage)> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let bed = Bed::open(&cache, &steps, XenVersion::default())?;
    Ok((bed, GuestImage::assemble(&cache, &[], &steps)?))
}

/// Runs a script that uses the library.
fn run(script: &str) -> Result<Outcome> {
    let (bed, guest) = bed()?;
    bed.run(&Scenario::new(format!(". /bed/lib.sh\n{script}")).guest(&guest))
}

/// Removes the folders of the two machines that an error names.
fn remove_logs(error: &str) -> Result<()> {
    for label in ["\n  logs: ", "\n  logs of the first machine: "] {
        let (_, rest) = error.split_once(label).context("it names no folder")?;
        fs::remove_dir_all(rest.lines().next().unwrap_or_default())?;
    }
    Ok(())
}

/// The lines of `text` that start with `prefix`.
fn lines<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(prefix))
        .collect()
}

#[test]
fn a_guest_runs_its_script_and_ends() -> Result<()> {
    let cache = Cache::open()?;
    let (bed, _) = bed()?;
    let programs = tempfile::tempdir()?;
    let file = programs.path().join("hello");
    fs::write(&file, "#!/bin/sh\necho \"hello from the guest\"\n")?;
    let program = GuestProgram {
        name: "hello",
        file: &file,
    };
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let guest = GuestImage::assemble(&cache, &[program], &steps)?;
    let script = ". /bed/lib.sh
        start_guest g1 <<'END'
            hello
            lspci -nn
            nproc
            grep -q . /sys/hypervisor/uuid && cat /sys/hypervisor/type
            exit 7
END
        xl list g1
        wait_guest g1 'guest script ended, status 7'
        wait_gone g1
        guest_log g1
        xl list
        wait_guest g1 'never said' 1000
    ";
    let outcome = bed.run(&Scenario::new(script).guest(&guest))?;
    let folder = outcome.folder();
    let log = fs::read_to_string(folder.join("out/log/guest-g1.log"))?;
    assert!(log.contains("Xen Platform Device"), "{log}");
    let output = &outcome.output;
    for words in [
        "hello from the guest\n",
        "00:02.0 Unassigned class [ff80]: XenSource, Inc. Xen Platform Device [5853:0001]",
        "\n1\nxen\n",
        // One that ended is not waited for.
        "FAILED: guest g1 is gone and did not say \"never said\"",
    ] {
        assert!(output.contains(words), "{words:?}: {output}");
    }
    assert_eq!(outcome.status, 1);
    assert_eq!(
        lines(output, "g1 ").len(),
        1,
        "gone in the second list: {output}"
    );
    assert_eq!(lines(output, "Domain-0 ").len(), 1, "{output}");
    drop(outcome);
    assert!(!folder.exists(), "{}", folder.display());
    Ok(())
}

#[test]
fn two_guests_run_at_once_and_hear_from_dom0() -> Result<()> {
    let output = run("
        for name in g1 g2; do
            start_guest $name ${name#g} <<'END'
                nproc
                for cpu in $(seq $(nproc)); do taskset -c $((cpu - 1)) lspci -s 2 -n; done
                echo waiting
                read -r word
                echo \"heard $word\"
                sleep 1000
END
        done
        for name in g1 g2; do
            wait_guest $name '^waiting'
            tell_guest $name \"hello-$name\"
            wait_guest $name \"^heard hello-$name\"
        done
        guest_log g2
        xl destroy g1
        wait_gone g1
        gone g2 && fail 'g2 is gone as well'
        xl destroy g2
        wait_gone g2
        echo end
    ")?
    .success()?;
    assert!(output.ends_with("end\n"), "{output}");
    assert!(output.contains("\n2\n"), "two processors: {output}");
    assert_eq!(
        lines(&output, "00:02.0 ff80: 5853:0001").len(),
        2,
        "{output}"
    );
    Ok(())
}

#[test]
fn files_reach_dom0_and_come_back() -> Result<()> {
    let (bed, _) = bed()?;
    let scenario = Scenario::new("tr a-z A-Z <input >out/copy; id -u; uname -r; exit 3")
        .file("input", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let outcome = bed.run(&scenario)?;
    let input = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
    assert_eq!(
        fs::read_to_string(outcome.folder().join("out/copy"))?,
        input.to_uppercase()
    );
    assert_eq!(outcome.status, 3);
    assert!(outcome.output.starts_with("0\n6.1."), "{}", outcome.output);
    Ok(())
}

#[test]
fn a_failed_scenario_is_reported_with_its_output() -> Result<()> {
    let outcome = run("echo before; wait_guest g9 anything")?;
    assert_eq!(outcome.status, 1);
    let text = format!("{:#}", outcome.success().unwrap_err());
    assert!(
        text.starts_with("the scenario failed, exit status 1\n    | before\n"),
        "{text}"
    );
    assert!(
        text.contains("\n    | FAILED: guest g9 is gone and did not say \"anything\""),
        "{text}"
    );
    let (_, folder) = text
        .split_once("\n  logs: ")
        .context("it names no folder")?;
    assert!(Path::new(folder).join("console.log").exists());
    Ok(fs::remove_dir_all(folder)?)
}

#[test]
fn a_machine_that_breaks_a_guest_is_replaced_once() -> Result<()> {
    let error = run("
        echo 'BUG: ENTRY_TRAMPOLINE stack guard page was hit at 0' >/var/log/xen/guest-g1.log
        fail 'the guest does not answer'
    ")
    .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("kept an old entry in its TLB"), "{text}");
    assert!(text.contains("FAILED: the guest does not answer"), "{text}");
    remove_logs(&text)
}

#[test]
fn a_file_cannot_take_the_place_of_the_beds_own() -> Result<()> {
    let (bed, _) = bed()?;
    for name in ["scenario", "../x", "", ".x"] {
        let error = bed
            .run(&Scenario::new("true").file(name, "/dev/null"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a file in /host cannot have the name {name:?}")
        );
    }
    Ok(())
}

#[test]
fn a_hung_machine_is_ended_in_time() -> Result<()> {
    let (bed, _) = bed()?;
    let started = Instant::now();
    let scenario = Scenario::new("echo starting; sleep 1000").limit(Duration::from_secs(8));
    let text = format!("{:#}", bed.run(&scenario).unwrap_err());
    // It is tried twice.
    assert!(
        started.elapsed() >= Duration::from_secs(16) && started.elapsed() < Duration::from_secs(40)
    );
    assert!(text.contains("\n    | starting"), "{text}");
    assert!(text.contains("no answer in time"), "{text}");
    remove_logs(&text)
}

#[test]
fn a_panic_ends_the_machine_at_once() -> Result<()> {
    let (bed, _) = bed()?;
    let started = Instant::now();
    let text = format!(
        "{:#}",
        bed.run(&Scenario::new("echo c >/proc/sysrq-trigger; sleep 1000"))
            .unwrap_err()
    );
    assert!(text.contains("the machine panicked: "), "{text}");
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
    remove_logs(&text)
}

#[test]
fn runs_side_by_side_do_not_see_each_other() -> Result<()> {
    let (bed, _) = bed()?;
    let outputs: Vec<Result<String>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|number| {
                let bed = &bed;
                scope.spawn(move || {
                    let script =
                        format!("touch /tmp/{number} out/{number}; sleep 3; echo /tmp/* out/?");
                    bed.run(&Scenario::new(script))?.success()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().unwrap_or_else(|_| anyhow::bail!("it panicked")))
            .collect()
    });
    for (number, output) in outputs.into_iter().enumerate() {
        assert_eq!(output?, format!("/tmp/{number} out/{number}\n"));
    }
    Ok(())
}

#[test]
fn a_bed_goes_on_where_a_scenario_ended() -> Result<()> {
    let (bed, _) = bed()?;
    let folder = tempfile::tempdir()?;
    let cache = Cache::at(folder.path())?;
    let script = "echo kept >/tmp/file; echo said >/var/log/xen/log; sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid";
    let kept = bed.prepare(&cache, "test", &Scenario::new(script))?;
    let scenario = Scenario::new("cat /tmp/file; kill $(cat /tmp/pid) && echo 'it ran on'; pwd");
    for _ in 0..2 {
        let outcome = kept.run(&scenario)?;
        let log = fs::read_to_string(outcome.folder().join("out/log/log"))?;
        assert_eq!(log, "said\n");
        assert_eq!(outcome.success()?, "kept\nit ran on\n/host\n");
    }

    // It is made once, and then another takes its place.
    let entries = || -> Result<Vec<_>> {
        fs::read_dir(folder.path().join("xen-test"))?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let first = entries()?;
    let made = fs::metadata(first[0].join("state"))?.modified()?;
    bed.prepare(&cache, "test", &Scenario::new(script))?;
    assert_eq!(fs::metadata(first[0].join("state"))?.modified()?, made);
    bed.prepare(&cache, "test", &Scenario::new("true"))?;
    let second = entries()?;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);

    let failed = bed.prepare(&cache, "test", &Scenario::new("echo why; exit 1"));
    let text = format!("{:#}", failed.unwrap_err());
    assert!(text.contains("exit status 1\n    | why"), "{text}");
    assert_eq!(entries()?, second, "a failure leaves what was there");
    remove_logs_of_prepared(&text)
}

/// Removes the folder that an error names.
fn remove_logs_of_prepared(error: &str) -> Result<()> {
    let (_, rest) = error
        .split_once("\n  logs: ")
        .context("it names no folder")?;
    Ok(fs::remove_dir_all(rest.lines().next().unwrap_or_default())?)
}

#[test]
fn the_older_xen_starts() -> Result<()> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    let bed = Bed::open(&cache, &steps, XenVersion::V4_17)?;
    let output = bed.run(&Scenario::new("xl info; xl list"))?.success()?;
    assert!(output.contains("xen_minor              : 17\n"), "{output}");
    assert_eq!(lines(&output, "Domain-0 ").len(), 1, "{output}");
    Ok(())
}
