//! What the server answers, line by line.

mod common;

use common::{Stepped, assert_error};
use serde_json::{Value, json};
use vgpu_control::protocol::{Command, Error, Id, Request};

/// The reply to one request of a new server.
fn reply(request: &str) -> Value {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    stepped.ask(&mut peer, request)
}

#[test]
fn the_server_greets() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.connect();
    stepped.settle();
    assert_eq!(
        peer.replies(),
        [json!({"vgpu-stub": {
            "protocol": 1,
            "version": "0.1.0",
            "attachment": "vfio-user",
            "pid": std::process::id(),
            "devices": 2,
        }})]
    );
}

#[test]
fn status_is_set_and_read_on_the_device_named() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for (device, value) in [(0, 5), (1, u32::MAX)] {
        let request = json!({"command": "set-status", "device": device, "value": value});
        let reply = stepped.ask(&mut peer, request.to_string());
        assert_eq!(reply, json!({"result": {}}));
    }
    for (request, value) in [
        (json!({"command": "registers"}), 5),
        (json!({"command": "registers", "device": 0}), 5),
        (json!({"command": "registers", "device": 1}), u32::MAX),
    ] {
        let reply = stepped.ask(&mut peer, request.to_string());
        assert_eq!(reply["result"]["status"], value, "{request}");
    }
}

#[test]
fn tracing_is_switched_both_ways() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for access in [true, false] {
        let request = json!({"command": "trace", "access": access});
        let reply = stepped.ask(&mut peer, request.to_string());
        assert_eq!(reply, json!({"result": {}}));
        let info = stepped.ask(&mut peer, r#"{"command":"info"}"#);
        assert_eq!(info["result"]["trace_access"], access);
    }
}

#[test]
fn the_reply_to_shutdown_is_sent_before_the_process_ends() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    peer.send("{\"id\":1,\"command\":\"shutdown\"}\n");
    assert!(!stepped.devices.shutdown_requested());
    stepped.step();
    assert!(stepped.devices.shutdown_requested());
    assert_eq!(peer.replies(), [json!({"id": 1, "result": {}})]);
}

#[test]
fn ids_come_back_as_they_are() {
    let ids = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("ö \u{1}\n\""),
    ];
    for id in ids {
        for command in ["info", "nonsense"] {
            let reply = reply(&json!({"id": id, "command": command}).to_string());
            assert_eq!(reply.get("id"), Some(&id));
        }
    }
    assert_eq!(reply(r#"{"command":"info"}"#).get("id"), None);
    for id in ["[]", "{}"] {
        let reply = reply(&format!(r#"{{"id":{id},"command":"info"}}"#));
        assert_error(&reply, "the id is no string, number");
        assert_eq!(reply.get("id"), None);
    }
}

#[test]
fn what_is_no_request_is_an_error_that_says_why() {
    for (line, cause) in [
        ("nonsense", "no JSON object: expected ident"),
        ("[]", "no JSON object"),
        ("1", "no JSON object"),
        ("{", "no JSON object"),
        (r#"{"command":"info"} {}"#, "no JSON object: trailing"),
        ("{}", "no command"),
        (r#"{"command":1}"#, "the command is no string"),
        (r#"{"command":"reboot"}"#, r#"unknown command "reboot""#),
        (r#"{"command":"info","x":1}"#, "info: unknown field `x`"),
        (
            r#"{"command":"shutdown","device":0}"#,
            "unknown field `device`",
        ),
        (r#"{"command":"info","value":1}"#, "unknown field `value`"),
        (r#"{"command":"set-status"}"#, "missing field `value`"),
        (r#"{"command":"trace"}"#, "missing field `access`"),
        (r#"{"command":"trace","access":1}"#, "trace: invalid type"),
        (
            r#"{"command":"set-status","value":4294967296}"#,
            "expected u32",
        ),
        (r#"{"command":"set-status","value":-1}"#, "expected u32"),
        (r#"{"command":"set-status","value":1.0}"#, "expected u32"),
        (r#"{"command":"set-status","value":"1"}"#, "expected u32"),
        (r#"{"command":"set-status","value":null}"#, "expected u32"),
        (r#"{"command":"info","device":2}"#, "there is no device 2"),
    ] {
        assert_error(&reply(line), cause);
    }
}

#[test]
fn an_unknown_command_is_told_the_known_ones() {
    let reply = reply(r#"{"command":"help"}"#);
    let mend = reply["error"]["mend"].as_str().unwrap();
    for name in Command::NAMES {
        assert!(mend.contains(name), "{mend}");
    }
}

#[test]
fn a_device_that_is_not_there_is_told_the_ones_that_are() {
    for (devices, mend) in [
        (0, "attach a device first"),
        (1, "leave the device out"),
        (3, "from 0 to 2"),
    ] {
        let error = Error::no_such_device(7, devices);
        assert!(error.mend.contains(mend), "{error:?}");
    }
}

#[test]
fn the_names_are_those_of_all_commands() {
    let commands = [
        Command::Registers { device: 1 },
        Command::SetStatus {
            device: 1,
            value: 2,
        },
        Command::Counters { device: 1 },
        Command::Trace {
            device: 1,
            access: true,
        },
        Command::Info { device: 1 },
        Command::Shutdown {},
    ];
    // serde knows all variants, and says them of one that is none.
    let none = serde_json::from_str::<Command>(r#"{"command":"none"}"#).unwrap_err();
    let names = Command::NAMES.map(|name| format!("`{name}`")).join(", ");
    assert!(
        none.to_string().contains(&format!("one of {names} ")),
        "{none}"
    );
    assert_eq!(commands.len(), Command::NAMES.len());
    for (command, name) in commands.into_iter().zip(Command::NAMES) {
        let request = Request {
            id: Some(Id::String("x".into())),
            command,
        };
        let line = serde_json::to_vec(&request).unwrap();
        let fields: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(fields["command"], name);
        assert_eq!(Request::parse(&line), Ok(request));
    }
}

#[test]
fn requests_are_answered_in_order_also_when_they_come_at_once() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for id in 0..100 {
        peer.send(format!("{{\"id\":{id},\"command\":\"info\"}}\r\n \n\n"));
    }
    stepped.settle();
    let replies = peer.replies();
    let ids: Vec<_> = replies.iter().map(|reply| reply["id"].clone()).collect();
    assert_eq!(ids, (0..100).map(|id| json!(id)).collect::<Vec<_>>());
}

#[test]
fn a_client_that_stops_writing_gets_its_replies() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    peer.send("{\"command\":\"info\"}\n{\"command\":\"shutdown\"}");
    peer.0.shutdown(std::net::Shutdown::Write).unwrap();
    stepped.settle();
    let replies = peer.last_words();
    assert_eq!(replies.len(), 1);
    assert!(replies[0]["result"].is_object());
    assert!(!stepped.devices.shutdown_requested(), "that was no line");
}
