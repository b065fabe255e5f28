//! `docs/control.md` tells the truth: a server gets the requests of its
//! examples, in order, and replies as they say.

mod common;

use common::Stepped;
use serde_json::Value;
use vgpu_control::protocol::{
    Command, LONGEST_REPLY, LONGEST_REQUEST, MAX_CLIENTS, MAX_UNSENT, VERSION,
};

const DOCUMENT: &str = include_str!("../../../docs/control.md");

#[test]
fn a_server_replies_as_the_examples_say() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.connect();
    let mut replies = Vec::new();
    let mut requests = 0;
    for line in DOCUMENT.lines() {
        stepped.settle();
        replies.extend(peer.replies());
        if let Some(request) = line.strip_prefix("    C: ") {
            assert!(replies.is_empty(), "not in the document: {replies:?}");
            peer.send(format!("{request}\n"));
            requests += 1;
        } else if let Some(reply) = line.strip_prefix("    S: ") {
            assert!(!replies.is_empty(), "nothing to say {reply} to");
            let mut actual = replies.remove(0);
            if let Some(pid) = actual.pointer_mut("/vgpu-stub/pid") {
                *pid = 4711.into();
            }
            let expected: Value = serde_json::from_str(reply).unwrap();
            assert_eq!(actual, expected);
        }
    }
    assert!(replies.is_empty(), "not in the document: {replies:?}");
    assert!(requests > Command::NAMES.len());
    assert!(stepped.devices.shutdown_requested());
}

#[test]
fn every_command_and_limit_is_there() {
    for name in Command::NAMES {
        assert!(DOCUMENT.contains(&format!("\n**{name}**: ")), "{name}");
    }
    for row in [
        format!("| clients at a time | {MAX_CLIENTS} |"),
        format!("| a request | {LONGEST_REQUEST} bytes, "),
        format!(
            "| replies that the client has not read | {} KiB, ",
            MAX_UNSENT >> 10
        ),
        format!("| a line from the server | {} KiB |", LONGEST_REPLY >> 10),
        format!("version {VERSION} of the protocol"),
    ] {
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}
