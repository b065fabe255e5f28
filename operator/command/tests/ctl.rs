//! `vgpu-stub ctl` with a real control server, in this process.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};
use tempfile::TempDir;
use vgpu_control::{
    Server, Service,
    protocol::{Counters, Error, Greeting, Info, Registers},
};
use vgpu_device::Register;
use vgpu_socket::Listener;

/// One device.
#[derive(Default)]
struct Device {
    status: AtomicU32,
    trace_access: AtomicBool,
    shutdown: AtomicBool,
}

fn only(device: u32) -> Result<(), Error> {
    if device == 0 {
        Ok(())
    } else {
        Err(Error::no_such_device(device, 1))
    }
}

impl Service for Device {
    fn greeting(&self) -> Greeting {
        Greeting {
            pid: 4711,
            ..Greeting::new("vfio-user", "0.1.0", 1)
        }
    }

    fn registers(&self, device: u32) -> Result<Registers, Error> {
        only(device)?;
        let status = self.status.load(Ordering::Relaxed);
        let value = |register| {
            if register == Register::Status {
                status
            } else {
                0
            }
        };
        Ok(Registers::new(
            &Register::ALL.map(|register| (register, value(register))),
        ))
    }

    fn set_status(&self, device: u32, value: u32) -> Result<(), Error> {
        only(device)?;
        if value == 13 {
            return Err(Error::new("unlucky\x1b[2J", "choose another"));
        }
        self.status.store(value, Ordering::Relaxed);
        Ok(())
    }

    fn counters(&self, device: u32) -> Result<Counters, Error> {
        only(device)?;
        Ok(Counters {
            config_reads: 410,
            config_writes: 38,
            bar0_reads: 12,
            bar0_writes: 5,
            refused_reads: 1,
            refused_writes: 0,
            resets: 2,
            connections: 3,
        })
    }

    fn trace_access(&self, device: u32, on: bool) -> Result<(), Error> {
        only(device)?;
        self.trace_access.store(on, Ordering::Relaxed);
        Ok(())
    }

    fn info(&self, device: u32) -> Result<Info, Error> {
        only(device)?;
        Ok(Info {
            connected: true,
            trace_access: self.trace_access.load(Ordering::Relaxed),
            uptime_seconds: 93,
            vendor_id: 0x1af4,
            device_id: 0x1111,
            subsystem_vendor_id: 0x1af4,
            subsystem_id: 0x0001,
            revision: 1,
            bar0_size: 4096,
        })
    }

    fn shutdown(&self) -> Result<(), Error> {
        self.shutdown.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Runs `test` with the path of a server, which ends with the test or when it
/// is shut down.
fn with_server(test: impl FnOnce(&Path)) {
    let (_folder, path) = place();
    let listener = Listener::bind(&path, 0o600).unwrap();
    let (stop, stopped) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut server = Server::new(listener).unwrap();
            let device = Device::default();
            while !device.shutdown.load(Ordering::Relaxed) {
                let fds = &mut [
                    PollFd::new(&server, PollFlags::IN),
                    PollFd::new(&stopped, PollFlags::IN),
                ];
                poll(fds, None).unwrap();
                if !fds[1].revents().is_empty() {
                    break;
                }
                server.ready(&device);
            }
        });
        // Dropped when the test panics too, or the scope would wait for good.
        let _stop = stop;
        test(&path);
    });
}

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("control");
    (folder, path)
}

fn ctl(args: &[&str]) -> assert_cmd::Command {
    let mut command =
        assert_cmd::Command::from_std(Command::new(assert_cmd::cargo::cargo_bin!("vgpu-stub")));
    command
        .env_remove("VGPU_STUB_CONTROL")
        .arg("ctl")
        .args(args);
    command
}

struct Output {
    code: i32,
    out: String,
    err: String,
}

fn finish(mut command: assert_cmd::Command) -> Output {
    let output = command.output().unwrap();
    Output {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run_at(path: &Path, args: &[&str]) -> Output {
    let mut command = ctl(args);
    command.arg("--control").arg(path);
    finish(command)
}

#[track_caller]
fn printed(path: &Path, args: &[&str]) -> String {
    let output = run_at(path, args);
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    output.out
}

/// One line of cause, with this in it, and one of mend.
#[track_caller]
fn assert_fails(output: &Output, code: i32, cause: &str) {
    assert_eq!(output.code, code, "{}", output.err);
    assert_eq!(output.out, "");
    let lines: Vec<_> = output.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", output.err);
    assert!(lines[0].starts_with("error: "), "{}", output.err);
    assert!(lines[0].contains(cause), "{}", output.err);
    assert!(lines[1].starts_with("mend:  "), "{}", output.err);
    assert!(!output.err.contains('\x1b'));
}

#[test]
fn status_is_set_and_the_registers_show_it() {
    with_server(|path| {
        for (value, shown) in [
            ("0xDEADbeef", "0xdeadbeef"),
            ("4294967295", "0xffffffff"),
            ("0", "0x00000000"),
            ("0x10", "0x00000010"),
        ] {
            assert_eq!(printed(path, &["set-status", value]), "");
            assert_eq!(
                printed(path, &["registers"]),
                format!(
                    "Command      0x00000000\n\
                     Status       {shown}\n\
                     Data Offset  0x00000000\n\
                     Data Length  0x00000000\n\
                     Request ID   0x00000000\n"
                )
            );
        }
    });
}

/// An emulator that runs since before an upgrade.
#[test]
fn a_register_that_the_server_does_not_know_is_absent() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let greeting = r#"{"vgpu-stub":{"protocol":1,"version":"0","attachment":"xen","pid":1,"devices":1}}"#;
            writeln!(stream, "{greeting}").unwrap();
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            lines.read_line(&mut request).unwrap();
            let reply = r#"{"id":1,"result":{"command":1,"status":5,"later":"x"}}"#;
            writeln!(stream, "{reply}").unwrap();
        }
    });
    assert_eq!(
        printed(&path, &["registers"]),
        "Command      0x00000001\n\
         Status       0x00000005\n\
         Data Offset  absent\n\
         Data Length  absent\n\
         Request ID   absent\n"
    );
    let known: Value = serde_json::from_str(&printed(&path, &["registers", "--json"])).unwrap();
    assert_eq!(known, json!({"command": 1, "status": 5}));
}

#[test]
fn counters_are_aligned() {
    with_server(|path| {
        assert_eq!(
            printed(path, &["counters"]),
            "config reads    410\n\
             config writes    38\n\
             BAR0 reads       12\n\
             BAR0 writes       5\n\
             refused reads     1\n\
             refused writes    0\n\
             resets            2\n\
             connections       3\n"
        );
    });
}

#[test]
fn info_shows_the_process_and_the_device() {
    with_server(|path| {
        assert_eq!(printed(path, &["trace", "on"]), "");
        let on = printed(path, &["info"]);
        assert_eq!(
            on,
            "attachment     vfio-user\n\
             version        0.1.0\n\
             process        4711\n\
             devices        1\n\
             up for         93 s\n\
             VM connected   yes\n\
             access trace   on\n\
             ids            1af4:1111\n\
             subsystem ids  1af4:0001\n\
             revision       1\n\
             BAR0 size      4096 bytes\n"
        );
        assert_eq!(printed(path, &["trace", "off"]), "");
        assert_eq!(
            printed(path, &["info"]),
            on.replace("trace   on", "trace   off")
        );
    });
}

#[test]
fn json_is_the_result_of_the_server() {
    with_server(|path| {
        printed(path, &["set-status", "7"]);
        for (args, expected) in [
            (
                &["registers"][..],
                json!({"command": 0, "status": 7, "data_offset": 0, "data_length": 0,
                       "request_id": 0}),
            ),
            (
                &["counters"],
                json!({"config_reads": 410, "config_writes": 38, "bar0_reads": 12,
                       "bar0_writes": 5, "refused_reads": 1, "refused_writes": 0,
                       "resets": 2, "connections": 3}),
            ),
            (
                &["info"],
                json!({"connected": true, "trace_access": false, "uptime_seconds": 93,
                       "vendor_id": 6900, "device_id": 4369, "subsystem_vendor_id": 6900,
                       "subsystem_id": 1, "revision": 1, "bar0_size": 4096}),
            ),
            (&["set-status", "1"], json!({})),
            (&["trace", "on"], json!({})),
            (&["shutdown"], json!({})),
        ] {
            let out = printed(path, &[args, &["--json"]].concat());
            let found: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(found, expected);
        }
    });
}

#[test]
fn shutdown_ends_the_server() {
    with_server(|path| {
        assert_eq!(printed(path, &["shutdown"]), "");
        while path.exists() {
            thread::yield_now();
        }
        assert_fails(&run_at(path, &["info"]), 2, "cannot connect");
    });
}

#[test]
fn the_environment_may_name_the_socket_and_options_come_anywhere() {
    with_server(|path| {
        let mut command = ctl(&["info"]);
        command.env("VGPU_STUB_CONTROL", path);
        assert_eq!(finish(command).code, 0);

        let mut command = ctl(&["--control", path.to_str().unwrap(), "--json", "info"]);
        command.env("VGPU_STUB_CONTROL", "/nonexistent");
        assert_eq!(finish(command).code, 0);
    });
    assert_fails(&finish(ctl(&["info"])), 2, "no control socket");
}

#[test]
fn what_the_server_refuses_is_exit_code_1() {
    with_server(|path| {
        let output = run_at(path, &["registers", "--device", "1"]);
        assert_fails(&output, 1, "there is no device 1");
        let output = run_at(path, &["set-status", "13", "--json"]);
        assert_fails(&output, 1, "unlucky");
    });
}

#[test]
fn a_server_that_does_not_answer_is_exit_code_2() {
    let (folder, path) = place();
    assert_fails(&run_at(&path, &["info"]), 2, "No such file");
    let listener = UnixListener::bind(&path).unwrap();
    let output = run_at(&path, &["info", "--timeout", "1"]);
    assert_fails(&output, 2, "did not answer within 1s");
    drop(listener);
    assert_fails(&run_at(&path, &["info"]), 2, "refused");

    let path = folder.path().join("newer");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client
            .write_all(b"{\"vgpu-stub\":{\"protocol\":2}}\n")
            .unwrap();
    });
    assert_fails(&run_at(&path, &["info"]), 2, "version 2");
    server.join().unwrap();
}

#[test]
fn wrong_usage_is_exit_code_2() {
    with_server(|path| {
        for args in [
            &["reboot"][..],
            &[],
            &["set-status"],
            &["set-status", "4294967296"],
            &["set-status", "0x100000000"],
            &["set-status", "+1"],
            &["set-status", "0x+1"],
            &["set-status", "ff"],
            &["set-status", "--", "-1"],
            &["trace"],
            &["trace", "yes"],
            &["info", "--timeout", "0"],
            &["info", "--device", "-1"],
        ] {
            let mut command = ctl(&["--control", path.to_str().unwrap()]);
            command.args(args);
            let output = finish(command);
            assert_eq!((output.code, output.out.as_str()), (2, ""), "{args:?}");
            assert!(output.err.contains("--help"), "{}", output.err);
        }
        assert!(printed(path, &["registers"]).contains("Status       0x00000000"));
    });
}

#[test]
fn an_output_that_takes_nothing_is_exit_code_2() {
    with_server(|path| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("vgpu-stub"));
        command.args(["ctl", "info", "--control"]).arg(path);
        command.stdout(File::create("/dev/full").unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("cannot print the result"), "{err}");
    });
}

#[test]
fn help_has_examples() {
    for flag in ["-h", "--help"] {
        let output = finish(ctl(&[flag]));
        assert_eq!(output.code, 0);
        assert!(output.out.contains("vgpu-stub ctl set-status 0x1"));
        assert!(output.out.contains("VGPU_STUB_CONTROL"));
        assert_eq!(output.out.contains("Exit code:"), flag == "--help");
    }
}
