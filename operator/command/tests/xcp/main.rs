//! The kit for XCP-ng against stand-ins of XAPI and xenopsd.

mod pool;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;

use pool::{HOST, OTHER, Pool, VM};
use serde_json::Value;

const DOMAIN: u16 = 7;
const BUILD: &str = "hvm_build";
const RECORD: &str = "run/vgpu-stub/xen-7.options";

/// As xenopsd's VM_create leaves xenstore.
fn with_domain(pool: &Pool) {
    let vm = format!("/vm/{VM}");
    pool.xenstore(&[("/local/domain/7", ""), ("/local/domain/7/vm", &vm)]);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

const ENABLED: [&str; 6] = [
    "blocked-operations:checkpoint=vgpu-stub",
    "blocked-operations:migrate_send=vgpu-stub",
    "blocked-operations:pool_migrate=vgpu-stub",
    "blocked-operations:suspend=vgpu-stub",
    "platform:nomigrate=true",
    "platform:xenguest=vgpu-stub",
];

#[test]
fn a_vm_is_enabled_starts_and_ends() {
    let pool = Pool::new();
    pool.write(
        "etc/vgpu-stub/xcp.conf",
        &format!("max-devices = 2\n[{VM}]\ndevice = slot=0x18\ndevice = revision=2,slot=0x1a\n"),
    );
    with_domain(&pool);
    succeeded(&pool.xcp(&["enable", "my vm"]));
    assert_eq!(pool.vm(), ENABLED);

    pool.hooks("vm-pre-start", VM, "none").unwrap();
    let (said, arguments) = pool.build(DOMAIN, BUILD);
    assert_eq!(said.unwrap(), "1044476 1044477");
    assert_eq!(
        pool.read("xenguest.log"),
        format!("{arguments}\nheard go\n")
    );
    assert_eq!(
        pool.read("systemctl.log"),
        "--no-ask-password start vgpu-stub-xen@7.service\n"
    );
    // Its stderr at least: what it has not got is looked for by the builder's caller.
    assert!(pool.read("systemctl.pipes").contains("pipe:["));
    assert_eq!(
        pool.read(RECORD),
        format!(
            "VGPU_STUB_VM={VM}\n\
             VGPU_STUB_OPTIONS=--device slot=0x18 --device revision=2,slot=0x1a\n"
        )
    );

    // Its reboot counts once: xenopsd builds it before the old record goes.
    pool.hooks("vm-pre-start", VM, "none").unwrap();
    pool.hooks("vm-post-destroy", OTHER, "hard-shutdown")
        .unwrap();
    assert!(pool.path(RECORD).exists(), "its domain is still there");
    pool.xenstore(&[]);
    pool.hooks("vm-post-destroy", VM, "clean-shutdown").unwrap();
    assert!(!pool.path(RECORD).exists());
    let calls = pool.read("systemctl.log");
    assert!(
        calls.ends_with("--no-block stop vgpu-stub-xen@7.service\n"),
        "{calls}"
    );
}

/// A toolstack above XAPI sets the flag and nothing else, on a new VM each time.
#[test]
fn the_hook_blocks_what_would_lose_the_state() {
    let pool = Pool::new();
    pool.xenstore(&[]);
    pool.set("platform", "xenguest", "vgpu-stub");
    pool.set("blocked-operations", "suspend", "another reason");
    pool.hooks("vm-pre-start", VM, "none").unwrap();
    assert_eq!(
        pool.vm(),
        [
            "blocked-operations:checkpoint=vgpu-stub",
            "blocked-operations:migrate_send=vgpu-stub",
            "blocked-operations:pool_migrate=vgpu-stub",
            "blocked-operations:suspend=another reason",
            "platform:xenguest=vgpu-stub",
        ]
    );
    let before = pool.read("xe.log").lines().count();
    pool.hooks("vm-pre-start", VM, "none").unwrap();
    let calls = pool.read("xe.log");
    let again: Vec<&str> = calls.lines().skip(before).collect();
    assert!(
        again.iter().all(|call| call.starts_with("vm-param-get")),
        "{again:?}"
    );
}

#[test]
fn what_is_wrong_here_is_no_matter_of_other_vms() {
    let pool = Pool::new();
    let starts = |what: &str| {
        pool.hooks("vm-pre-start", VM, "none")
            .unwrap_or_else(|refused| panic!("{what}: {refused:?}"));
    };
    pool.write("etc/vgpu-stub/xcp.conf", "nonsense");
    starts("settings that cannot be read, and no xenstore");
    fs::remove_file(pool.path("usr/lib/xapi/alternatives/xenguest/vgpu-stub")).unwrap();
    starts("no shim");
    fs::remove_file(pool.path("usr/bin/vgpu-stub")).unwrap();
    starts("no program");
    pool.hooks("vm-post-destroy", VM, "none").unwrap();
    fs::rename(pool.path("xapi"), pool.path("no-xapi")).unwrap();
    starts("no XAPI and no program");
    symlink(pool::PROGRAM, pool.path("usr/bin/vgpu-stub")).unwrap();
    starts("no XAPI");
}

#[test]
fn a_host_without_the_whole_kit_refuses() {
    let pool = Pool::new();
    pool.xenstore(&[]);
    pool.set("platform", "xenguest", "vgpu-stub");
    let refused = |cause: &str| {
        let (said, code) = pool.hooks("vm-pre-start", VM, "none").expect_err(cause);
        assert_eq!(code, 2, "{said}");
        assert!(
            said.starts_with("vgpu-stub: ") && said.contains(cause),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    for part in [
        "/usr/lib/xapi/alternatives/xenguest/vgpu-stub",
        "/usr/lib/systemd/system/vgpu-stub-xen@.service",
        "/usr/libexec/xen/bin/xenguest",
        "/etc/xapi.d/plugins/vgpu-stub",
        "/usr/bin/vgpu-stub",
    ] {
        let aside = pool.path("aside");
        fs::rename(pool.path(part), &aside).unwrap();
        refused(part);
        fs::rename(&aside, pool.path(part)).unwrap();
    }
    // A link is as good as what it leads to.
    let xenguest = pool.path("usr/libexec/xen/bin/xenguest");
    fs::set_permissions(&xenguest, fs::Permissions::from_mode(0o644)).unwrap();
    refused("/usr/libexec/xen/bin/xenguest cannot be executed");
    fs::set_permissions(&xenguest, fs::Permissions::from_mode(0o755)).unwrap();

    pool.write("etc/vgpu-stub/xcp.conf", "max-devices = 0");
    refused("this host may have 0 devices, has 0, and VM");
    pool.write("etc/vgpu-stub/xcp.conf", "vms = listed");
    refused("does not name VM");
    pool.write("etc/vgpu-stub/xcp.conf", "nonsense");
    refused("xcp.conf, line 1: 'nonsense'");
    pool.write("etc/vgpu-stub/xcp.conf", "");
    pool.hooks("vm-pre-start", VM, "none").unwrap();
}

#[test]
fn a_build_that_cannot_be_is_told_to_xenopsd() {
    let pool = Pool::new();
    let refused = |mode: &str, cause: &str| {
        let (said, _) = pool.build(DOMAIN, mode);
        let said = said.expect_err(cause);
        assert!(said.contains(cause), "{said}");
        assert!(!pool.path("xenguest.log").exists(), "the builder ran");
        assert!(!pool.path(RECORD).exists(), "a record is left");
        said
    };
    refused(BUILD, "hvm_build 1: vgpu-stub: cannot reach xenstore");
    pool.xenstore(&[]);
    refused(BUILD, "does not say which VM domain 7 is");
    with_domain(&pool);
    refused(
        "linux_build",
        "xc_dom_linux_build 1: vgpu-stub: only HVM guests",
    );
    refused("pvh_build", "hvm_build 1: vgpu-stub: only HVM guests");
    pool.write("etc/vgpu-stub/xcp.conf", "max-devices = 0");
    refused(BUILD, "may have 0 devices");
    fs::remove_file(pool.path("etc/vgpu-stub/xcp.conf")).unwrap();
    pool.write("emulator-fails", "");
    refused(
        BUILD,
        "emulator did not start: systemctl start vgpu-stub-xen@7.service failed: Job for",
    );
    fs::remove_file(pool.path("emulator-fails")).unwrap();
    fs::remove_file(pool.path("usr/libexec/xen/bin/xenguest")).unwrap();
    refused(BUILD, "cannot run /usr/libexec/xen/bin/xenguest");
    let calls = pool.read("systemctl.log");
    assert!(
        calls.ends_with("--no-block stop vgpu-stub-xen@7.service\n"),
        "{calls}"
    );
}

#[test]
fn a_builder_is_asked_for_what_it_can_do() {
    let pool = Pool::new();
    let shim = pool.path("usr/lib/xapi/alternatives/xenguest/vgpu-stub");
    let mut command = std::process::Command::new(shim);
    let output = command
        .args(["-supports", "feature"])
        .env("VGPU_STUB_ROOT", pool.path(""))
        .output()
        .unwrap();
    assert_eq!(succeeded(&output), "true\n");
    assert_eq!(pool.read("xenguest.log"), "-supports feature\n");
}

#[test]
fn disable_restores_what_was_there() {
    let pool = Pool::new();
    for (map, key, value) in [
        ("platform", "xenguest", "another"),
        ("platform", "viridian", "true"),
        ("blocked-operations", "suspend", "mine"),
        ("blocked-operations", "destroy", "mine"),
        ("other-config", "x", "y"),
    ] {
        pool.set(map, key, value);
    }
    let before = pool.vm();
    succeeded(&pool.xcp(&["enable", VM]));
    let enabled = pool.vm();
    assert!(
        ENABLED[4..]
            .iter()
            .all(|line| enabled.contains(&(*line).to_string()))
    );
    succeeded(&pool.xcp(&["enable", VM]));
    assert_eq!(pool.vm(), enabled);
    succeeded(&pool.xcp(&["disable", VM]));
    assert_eq!(pool.vm(), before);

    let again = pool.xcp(&["disable", VM]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("is not to have the device\nmend:"));
}

/// Runs this where XAPI fails after each number of writes, until it does all of
/// it, and hands the pool that each leaves to `check`.
fn cut_short(pool: &dyn Fn() -> Pool, action: &str, check: &dyn Fn(&Pool, usize)) {
    for writes in 0.. {
        let pool = pool();
        pool.write("writes-left", &writes.to_string());
        let whole = pool.xcp(&[action, VM]).status.success();
        fs::remove_file(pool.path("writes-left")).unwrap();
        check(&pool, writes);
        if whole {
            assert!(writes > 4, "only {writes} writes");
            return;
        }
    }
}

/// VMs as they may be before.
const BEFORE: [&[(&str, &str, &str)]; 3] = [
    &[],
    &[
        ("platform", "xenguest", "another"),
        ("platform", "nomigrate", "false"),
        ("blocked-operations", "suspend", "mine"),
        ("other-config", "x", "y"),
    ],
    &[("platform", "nomigrate", "true")],
];

fn with(values: &[(&str, &str, &str)]) -> Pool {
    let pool = Pool::new();
    for (map, key, value) in values {
        pool.set(map, key, value);
    }
    pool
}

#[test]
fn enable_that_is_cut_short_can_be_done_again_or_undone() {
    for values in BEFORE {
        let new = || with(values);
        let before = new().vm();
        let whole = new();
        succeeded(&whole.xcp(&["enable", VM]));
        cut_short(&new, "enable", &|pool, writes| {
            succeeded(&pool.xcp(&["enable", VM]));
            assert_eq!(pool.vm(), whole.vm(), "again after {writes} writes");
            succeeded(&pool.xcp(&["disable", VM]));
            assert_eq!(pool.vm(), before, "enabled after {writes} writes");
        });
        cut_short(&new, "enable", &|pool, writes| {
            if pool.vm() != before {
                succeeded(&pool.xcp(&["disable", VM]));
            }
            assert_eq!(pool.vm(), before, "undone after {writes} writes");
        });
    }
}

#[test]
fn disable_that_is_cut_short_can_be_done_again_or_undone() {
    for values in BEFORE {
        let before = with(values).vm();
        let new = || {
            let pool = with(values);
            succeeded(&pool.xcp(&["enable", VM]));
            pool
        };
        let enabled = new().vm();
        cut_short(&new, "disable", &|pool, writes| {
            if pool.vm() != before {
                succeeded(&pool.xcp(&["disable", VM]));
            }
            assert_eq!(pool.vm(), before, "again after {writes} writes");
        });
        cut_short(&new, "disable", &|pool, writes| {
            succeeded(&pool.xcp(&["enable", VM]));
            assert_eq!(pool.vm(), enabled, "undone after {writes} writes");
            succeeded(&pool.xcp(&["disable", VM]));
            assert_eq!(pool.vm(), before, "enabled after {writes} writes");
        });
    }
}

/// The last enable is cut short, and then someone else sets the VM up.
#[test]
fn what_an_enable_that_is_cut_short_remembers_is_not_restored_later() {
    let pool = with(&[("platform", "nomigrate", "false")]);
    pool.write("writes-left", "5");
    assert!(!pool.xcp(&["enable", VM]).status.success());
    fs::remove_file(pool.path("writes-left")).unwrap();
    assert!(pool.vm().iter().any(|line| line.contains("vgpu-stub-was-")));
    fs::remove_file(pool.path(&format!("xapi/vm/{VM}/platform/nomigrate"))).unwrap();
    succeeded(&pool.xcp(&["enable", VM]));
    succeeded(&pool.xcp(&["disable", VM]));
    assert!(pool.vm().is_empty(), "{:?}", pool.vm());
}

#[test]
fn a_vm_is_named_without_doubt() {
    let pool = Pool::new();
    for (name, cause) in [
        ("nobody", "there is no VM 'nobody'"),
        (OTHER, "there is no VM"),
        ("two\nlines", "no argument with an end of line"),
    ] {
        let output = pool.xcp(&["enable", name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains(cause),
            "{}",
            text(&output.stderr)
        );
    }
    pool.add_vm(OTHER, "my vm");
    let output = pool.xcp(&["enable", "my vm"]);
    assert!(text(&output.stderr).contains("2 VMs have the name 'my vm'"));
    assert!(pool.vm().is_empty());
}

/// A host without the kit would start the VM without the device.
#[test]
fn every_host_of_the_pool_is_asked() {
    const SECOND: &str = "7d3f6c1e-0000-4d0e-9a6c-0d8f3f6f0a12";
    let pool = Pool::new();
    pool.add_host(SECOND, "second");
    let output = pool.xcp(&["enable", VM]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("warning: host second: the kit is missing"),
        "{said}"
    );
    assert_eq!(pool.vm(), ENABLED);

    let root = pool.path("xapi/host").join(SECOND).join("root");
    pool::install_kit(&root);
    fs::remove_file(root.join("usr/libexec/xen/bin/xenguest")).unwrap();
    let output = pool.xcp(&["list", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["vms"][0]["uuid"], VM);
    assert_eq!(listed["vms"][0]["name"], "my vm");
    assert_eq!(listed["hosts"][0]["uuid"], HOST);
    assert_eq!(listed["hosts"][0]["status"]["ready"], true);
    let problem = &listed["hosts"][1]["status"]["problems"][0];
    assert!(
        problem
            .as_str()
            .unwrap()
            .contains("/usr/libexec/xen/bin/xenguest")
    );

    fs::write(root.join("usr/libexec/xen/bin/xenguest"), "").unwrap();
    fs::set_permissions(
        root.join("usr/libexec/xen/bin/xenguest"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let table = succeeded(&pool.xcp(&["list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("second: vgpu-stub ") && table.contains("0 devices running"));
    succeeded(&pool.xcp(&["enable", VM]));
}

#[test]
fn the_plugin_answers_as_xapi_reads() {
    let pool = Pool::new();
    with_domain(&pool);
    pool.build(DOMAIN, BUILD).0.unwrap();
    let call = |name: &str| {
        let call = format!(
            "<methodCall><methodName>{name}</methodName><params><param>\
             <value>OpaqueRef:1</value></param><param><value><struct/></value></param></params></methodCall>"
        );
        let output = std::process::Command::new(pool.path("etc/xapi.d/plugins/vgpu-stub"))
            .arg(call)
            .env("VGPU_STUB_ROOT", pool.path(""))
            .output()
            .unwrap();
        succeeded(&output)
    };
    let list = call("list");
    let expected = format!(
        "<name>Value</name><value>{{\"running\":[{{\"devices\":[\"slot=0x18\"],\"domain\":7,\"vm\":\"{VM}\"}}]}}</value>"
    );
    assert!(list.contains(&expected), "{list}");
    let status = call("status");
    assert!(
        status.contains("<name>Status</name><value>Success</value>"),
        "{status}"
    );
    assert!(
        status.contains("\"devices\":1,\"max_devices\":null"),
        "{status}"
    );
    let unknown = call("no&lt;such");
    assert!(
        unknown.contains("<name>Status</name><value>Failure</value>"),
        "{unknown}"
    );
    assert!(unknown.contains("call one of: status, list"), "{unknown}");
}

/// Whoever may rename a VM or a host chooses what root's terminal shows.
#[test]
fn a_terminal_obeys_no_name() {
    let pool = Pool::new();
    pool.xenstore(&[]);
    pool.set("platform", "xenguest", "vgpu-stub");
    let name = "web\u{1b}[2J\nVM    root  running  admin\u{9b}1m\u{202e}";
    pool.write(&format!("xapi/vm/{VM}/name-label"), name);
    pool.write(
        &format!("xapi/host/{HOST}/name-label"),
        "first\u{1b}]0;x\u{7}",
    );
    let output = pool.xcp(&["list"]);
    let table = String::from_utf8(output.stdout).unwrap();
    let shown = r"web\u{1b}[2J\nVM    root  running  admin\u{9b}1m\u{202e}";
    assert!(table.contains(shown), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!table.contains(obeyed), "{table:?}");

    // In what is refused, too.
    for action in ["enable", "disable"] {
        let output = pool.xcp(&[action, "no\u{1b}[2Jvm"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(r"no\u{1b}[2Jvm"), "{said}");
        assert!(!said.contains(obeyed), "{said:?}");
    }
}

/// What is installed is root's, and takes no other root folder from who starts it.
#[test]
fn the_installed_program_knows_no_other_root_folder() {
    let pool = Pool::new();
    let program = env!("CARGO_BIN_EXE_vgpu-stub");
    let words = ["xcp", "vm-pre-start", "-vmuuid", VM, "-reason", "none"];
    let run = |program: &str| {
        let mut command = std::process::Command::new(program);
        let path = format!("{}:/usr/bin:/bin", pool.path("bin").display());
        command
            .args(words)
            .env("PATH", path)
            .env("VGPU_STUB_ROOT", pool.path(""));
        command.output().unwrap()
    };
    pool.set("platform", "xenguest", "vgpu-stub");
    pool.xenstore(&[]);
    succeeded(&run(env!("CARGO_BIN_EXE_vgpu-stub-below")));
    let said = String::from_utf8(run(program).stdout).unwrap();
    assert!(
        said.contains("vgpu-stub is not whole on this host"),
        "{said}"
    );
    let content = fs::read(program).unwrap();
    let name = b"VGPU_STUB_ROOT";
    assert!(!content.windows(name.len()).any(|window| window == name));
}
