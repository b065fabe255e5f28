//! The client, with a real server and with ones that misbehave.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEVICES, with_server};
use serde_json::Value;
use tempfile::TempDir;
use vgpu_control::protocol::{Command, LONGEST_REPLY, MAX_CLIENTS};
use vgpu_control::{Client, ClientError};
use vgpu_device::Register;

const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

const GREETING: &str = "{\"vgpu-stub\":{\"protocol\":1,\"version\":\"9\",\
    \"attachment\":\"xen\",\"pid\":1,\"devices\":1,\"new\":[]}}\n";

fn connect(path: &Path) -> Client {
    Client::connect(path, LIMIT).unwrap()
}

fn status(client: &mut Client, device: u32) -> Option<u32> {
    client.registers(device).unwrap().get(Register::Status)
}

#[test]
fn every_command_works() {
    with_server(|path| {
        let mut client = connect(path);
        assert_eq!(client.greeting().pid, std::process::id());
        assert_eq!(client.greeting().devices, DEVICES);

        client.set_status(1, 0xdead_beef).unwrap();
        assert_eq!(status(&mut client, 1), Some(0xdead_beef));
        assert_eq!(status(&mut client, 0), Some(0));
        assert_eq!(client.counters(0).unwrap().config_reads, 410);
        client.trace_access(0, true).unwrap();
        assert!(client.info(0).unwrap().trace_access);
        client.trace_access(0, false).unwrap();
        assert!(!client.info(0).unwrap().trace_access);
        let raw: Value = client.request(Command::Info { device: 0 }).unwrap();
        assert_eq!(raw["bar0_size"], 4096);

        client.shutdown().unwrap();
        assert!(matches!(client.info(0), Err(ClientError::Closed { .. })));
    });
}

#[test]
fn a_refusal_is_the_server_s_own_words() {
    with_server(|path| {
        let mut client = connect(path);
        let error = client.registers(DEVICES).unwrap_err();
        assert_eq!(error.to_string(), "there is no device 2");
        assert_eq!(error.mend(), "choose a device from 0 to 1");
        client.registers(0).unwrap();
    });
}

#[test]
fn each_request_has_the_limit_anew() {
    with_server(|path| {
        let limit = Duration::from_secs(1);
        let mut client = Client::connect(path, limit).unwrap();
        thread::sleep(limit);
        client.info(0).unwrap();
    });
}

#[test]
fn a_client_too_many_is_refused() {
    with_server(|path| {
        let clients: Vec<_> = (0..MAX_CLIENTS).map(|_| connect(path)).collect();
        let error = Client::connect(path, LIMIT).unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{error}");
        drop(clients);
    });
}

/// A server that greets with `greeting`, answers each request with `reply`,
/// and then keeps the connection open.
fn scripted(greeting: &[u8], reply: &[u8]) -> (TempDir, PathBuf) {
    let (folder, path) = place();
    let (greeting, reply) = (greeting.to_vec(), reply.to_vec());
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let requests = BufReader::new(stream.try_clone().unwrap());
            let _ = stream.write_all(&greeting);
            for _ in requests.lines() {
                let _ = stream.write_all(&reply);
            }
        }
    });
    (folder, path)
}

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("control");
    (folder, path)
}

#[test]
fn a_path_without_a_server_is_an_error() {
    let (folder, path) = place();
    for (path, mend) in [
        (path.as_path(), "see that the server runs"),
        (folder.path(), "see that the server runs"),
        (Path::new(&"x".repeat(200)), "the path"),
    ] {
        let error = Client::connect(path, LIMIT).unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }), "{error}");
        assert!(error.mend().contains(mend), "{}", error.mend());
    }
    let error = Client::connect(&path, Duration::ZERO).unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}

#[test]
fn another_version_of_the_protocol_is_an_error() {
    let (_folder, path) = scripted(b"{\"vgpu-stub\":{\"protocol\":2}}\n", b"");
    let error = Client::connect(&path, LIMIT).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert!(error.to_string().contains("version 1"), "{error}");
}

#[test]
fn another_server_is_an_error() {
    for greeting in [
        &b"SSH-2.0\n"[..],
        b"\n",
        b"\xff\n",
        b"{}\n",
        b"{\"vgpu-stub\":{}}\n",
        b"{\"vgpu-stub\":{\"protocol\":1}}\n",
        b"{\"result\":{}}\n",
        Box::leak(vec![b' '; LONGEST_REPLY + 1].into_boxed_slice()),
    ] {
        let (_folder, path) = scripted(greeting, b"");
        let error = Client::connect(&path, LIMIT).unwrap_err();
        assert!(
            matches!(error, ClientError::Unintelligible { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_reply_that_is_none_is_an_error() {
    for reply in [
        "nonsense\n",
        "{}\n",
        "{\"id\":1}\n",
        "{\"id\":1,\"result\":{}}\n",
        "{\"id\":2,\"result\":{\"command\":0,\"status\":0,\"data_offset\":0,\
          \"data_length\":0,\"request_id\":0}}\n",
        "{\"id\":1,\"error\":{}}\n",
    ] {
        let (_folder, path) = scripted(GREETING.as_bytes(), reply.as_bytes());
        let error = connect(&path).registers(0).unwrap_err();
        assert!(
            matches!(error, ClientError::Unintelligible { .. }),
            "{error}"
        );
    }
}

/// A client with a server that replies this result to its first request.
fn replied(result: &str) -> (TempDir, Client) {
    let reply = format!("{{\"id\":1,\"new\":1,\"result\":{result}}}\n");
    let (folder, path) = scripted(GREETING.as_bytes(), reply.as_bytes());
    let client = connect(&path);
    (folder, client)
}

#[test]
fn fields_of_newer_servers_are_ignored() {
    let (_folder, mut client) = replied(
        "{\"command\":3,\"status\":0,\"data_offset\":0,\"data_length\":0,\"request_id\":0,\
         \"new\":1,\"newer\":[\"text\"],\"newest\":18446744073709551615}",
    );
    let registers = client.registers(0).unwrap();
    assert_eq!(registers.get(Register::Command), Some(3));
    let known = serde_json::to_value(&registers).unwrap();
    assert_eq!(known.as_object().unwrap().len(), Register::ALL.len());
}

#[test]
fn a_register_that_an_older_server_does_not_know_is_absent() {
    for missing in Register::ALL {
        let name = missing.name().to_lowercase().replace(' ', "_");
        let mut result = serde_json::json!({
            "command": 1, "status": 2, "data_offset": 3, "data_length": 4, "request_id": 5,
        });
        result.as_object_mut().unwrap().remove(&name).unwrap();
        let (_folder, mut client) = replied(&result.to_string());
        let registers = client.registers(0).unwrap();
        for register in Register::ALL {
            let is_there = registers.get(register).is_some();
            assert_eq!(
                is_there,
                register != missing,
                "{register:?} without {missing:?}"
            );
        }
    }
}

/// What the first release sends. Later ones add fields, and understand it without them.
#[test]
fn the_first_release_is_understood() {
    let (_folder, mut client) = replied(
        "{\"command\":1,\"status\":5,\"data_offset\":32,\"data_length\":992,\"request_id\":7}",
    );
    assert_eq!(status(&mut client, 0), Some(5));
    let (_folder, mut client) = replied(
        "{\"config_reads\":410,\"config_writes\":38,\"bar0_reads\":12,\"bar0_writes\":5,\
         \"refused_reads\":1,\"refused_writes\":0,\"resets\":2,\"connections\":1}",
    );
    assert_eq!(client.counters(0).unwrap().connections, 1);
    let (_folder, mut client) = replied(
        "{\"connected\":true,\"trace_access\":true,\"uptime_seconds\":93,\"vendor_id\":6900,\
         \"device_id\":4369,\"subsystem_vendor_id\":6900,\"subsystem_id\":4369,\"revision\":1,\
         \"bar0_size\":4096}",
    );
    assert_eq!(client.info(0).unwrap().bar0_size, 4096);
}

/// What the first release's client asks for, and refuses a reply without.
#[test]
fn a_client_of_the_first_release_is_answered() {
    with_server(|path| {
        let mut client = connect(path);
        let device = 0;
        for (command, fields) in [
            (
                Command::Registers { device },
                "command status data_offset data_length request_id",
            ),
            (
                Command::Counters { device },
                "config_reads config_writes bar0_reads bar0_writes refused_reads refused_writes resets connections",
            ),
            (
                Command::Info { device },
                "uptime_seconds vendor_id device_id subsystem_vendor_id subsystem_id revision bar0_size",
            ),
        ] {
            let result: Value = client.request(command).unwrap();
            for field in fields.split(' ') {
                assert!(result[field].is_u64(), "{field}: {result}");
            }
        }
    });
}

#[track_caller]
fn assert_times_out<T>(act: impl FnOnce() -> Result<T, ClientError>) {
    let started = Instant::now();
    let error = act().err().expect("nobody answers");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    assert!(started.elapsed() >= SHORT);
    assert!(started.elapsed() < LIMIT);
}

#[test]
fn a_server_that_is_silent_times_out() {
    let (_folder, path) = scripted(b"", b"");
    assert_times_out(|| Client::connect(&path, SHORT));

    let (_folder, path) = scripted(GREETING.as_bytes(), b"");
    let mut client = Client::connect(&path, SHORT).unwrap();
    assert_times_out(|| client.info(0));
}

#[test]
fn a_server_that_never_accepts_times_out() {
    let (_folder, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _waits = UnixStream::connect(&path).unwrap();
    assert_times_out(|| Client::connect(&path, SHORT));
}

#[test]
fn a_server_that_trickles_times_out() {
    let (_folder, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b" ").is_ok() {
            thread::sleep(SHORT / 10);
        }
    });
    assert_times_out(|| Client::connect(&path, SHORT));
}

#[test]
fn a_server_that_ends_is_an_error_at_once() {
    let (_folder, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(GREETING.as_bytes()).unwrap();
    });
    let error = Client::connect(&path, LIMIT).unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
    let mut client = connect(&path);
    server.join().unwrap();
    let error = client.info(0).unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");

    let error = Client::connect(&path, LIMIT).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}
