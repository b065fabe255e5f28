//! Clients that mean harm, or are broken: none ends, stalls or bloats the
//! server, and others are served meanwhile.

mod common;

use std::io::{ErrorKind, Read, Write};

use common::{Peer, Stepped, assert_error, lines};
use serde_json::{Value, json};
use vgpu_control::protocol::{LONGEST_REPLY, LONGEST_REQUEST, MAX_CLIENTS, MAX_UNSENT};

const REQUEST: &str = "{\"id\":1,\"command\":\"set-status\",\"device\":1,\"value\":1}\n";

/// Writes `bytes` over and over until the connection takes no more.
fn write_until_full(peer: &mut Peer, bytes: &[u8]) {
    loop {
        match peer.0.write(bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn requests_may_come_byte_by_byte() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for byte in REQUEST.as_bytes() {
        assert!(peer.replies().is_empty());
        peer.send([*byte]);
        stepped.settle();
    }
    assert_eq!(peer.replies(), [json!({"id": 1, "result": {}})]);
}

#[test]
fn a_client_that_leaves_amid_a_request_asked_for_nothing() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for length in 0..REQUEST.len() {
        stepped.greeted().send(&REQUEST[..length]);
        stepped.settle();
        let mut unread = stepped.connect();
        unread.send(&REQUEST[..length]);
        drop(unread);
        stepped.settle();
    }
    assert_eq!(stepped.devices.calls(), 0);
    stepped.assert_alive(&mut peer);
}

#[test]
fn a_client_may_leave_before_its_replies() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for _ in 0..100 {
        let mut other = stepped.greeted();
        other.send(REQUEST.repeat(3));
        drop(other);
        stepped.settle();
    }
    assert_eq!(stepped.devices.calls(), 300);
    stepped.assert_alive(&mut peer);
}

#[test]
fn garbage_is_an_error_and_the_connection_goes_on() {
    let nested = |open: &str, close: &str| {
        let depth = LONGEST_REQUEST / 2 / (open.len() + close.len());
        format!("{}{}", open.repeat(depth), close.repeat(depth))
    };
    let mut lines: Vec<Vec<u8>> = [
        nested("[", "]"),
        nested("{\"a\":", "}"),
        format!("{{\"id\":{}}}", nested("[", "]")),
        "[".repeat(LONGEST_REQUEST),
        "9".repeat(LONGEST_REQUEST),
        format!("{{\"id\":{}}}", "9".repeat(1000)),
        "{\"id\":1e999999}".into(),
        "{\"id\":-1e999999}".into(),
        "{\"command\":\"set-status\",\"value\":1e400}".into(),
        "{\"command\":\"\\ud800\"}".into(),
        "\u{feff}{\"command\":\"info\"}".into(),
        "GET / HTTP/1.1\r".into(),
    ]
    .map(String::into_bytes)
    .into();
    lines.extend(
        (1..=255u8)
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| vec![byte]),
    );
    lines.push(vec![0; LONGEST_REQUEST]);
    lines.push(b"{\"command\":\"\xff\xfe\"}".into());
    lines.push(b"{\"id\":\"\xc3\",\"command\":\"info\"}".into());

    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for line in lines {
        let reply = stepped.ask(&mut peer, &line);
        assert_error(&reply, "no JSON object");
    }
    stepped.assert_alive(&mut peer);
}

/// A line of text that is about the longest reply there is.
#[test]
fn replies_keep_to_their_longest() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    for text in ["\u{7f}", "\u{200b}", "\\u0001", "\\\"", "a"] {
        let text = text.repeat(4000 / text.len());
        for request in [
            format!("{{\"command\":\"{text}\"}}"),
            format!("{{\"command\":\"info\",\"{text}\":1}}"),
            format!("{{\"command\":\"info\",\"device\":\"{text}\"}}"),
            format!("{{\"id\":\"{text}\",\"command\":\"info\"}}"),
        ] {
            let reply = stepped.ask(&mut peer, request);
            assert!(reply.to_string().len() < LONGEST_REPLY / 2);
        }
    }
}

#[test]
fn a_request_that_is_too_long_ends_the_connection() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    let padded = |length: usize| {
        let request = "{\"command\":\"info\"}";
        format!("{request}{}", " ".repeat(length - request.len()))
    };
    let reply = stepped.ask(&mut peer, padded(LONGEST_REQUEST));
    assert!(reply["result"].is_object());

    for end in ["\n", ""] {
        let mut other = stepped.greeted();
        other.send(padded(LONGEST_REQUEST + 1));
        other.send(end);
        stepped.settle();
        let replies = other.last_words();
        assert_eq!(replies.len(), 1);
        assert_error(&replies[0], "longer than 4096 bytes");
    }
    assert_eq!(stepped.devices.calls(), 1);
    stepped.assert_alive(&mut peer);
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    let mut other = stepped.greeted();
    write_until_full(&mut other, &[b' '; 512]);
    let allocated = allocation_counter::measure(|| {
        stepped.settle();
    });
    assert!(allocated.bytes_max < 64 << 10, "{allocated:?}");
    assert_eq!(other.last_words().len(), 1);
    stepped.assert_alive(&mut peer);
}

#[test]
fn a_client_that_never_reads_is_closed() {
    let mut stepped = Stepped::new();
    let mut peer = stepped.greeted();
    let mut others: Vec<_> = (1..MAX_CLIENTS).map(|_| stepped.connect()).collect();
    let mut open = [true; MAX_CLIENTS - 1];
    let request = b"{\"command\":\"info\"}\n".repeat(64);
    let allocated = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            for (other, open) in others.iter_mut().zip(&mut open) {
                match other.0.write(&request) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => *open = false,
                    Err(error) => panic!("{error}"),
                }
            }
            stepped.settle();
            if open.iter().all(|open| !open) {
                return;
            }
        }
        panic!("{open:?}");
    });
    let bound = MAX_CLIENTS * 3 * MAX_UNSENT;
    assert!(allocated.bytes_max < bound as u64, "{allocated:?}");
    stepped.assert_alive(&mut peer);
}

#[test]
fn a_client_that_reads_late_gets_all_its_replies() {
    let mut stepped = Stepped::new();
    let id = "x".repeat(4000);
    let request = json!({"id": id, "command": "counters"}).to_string() + "\n";

    // How many replies fit into the socket and the server.
    let mut never_reads = stepped.greeted();
    let too_many = (1..10_000)
        .find(|_| {
            let closed = never_reads.0.write_all(request.as_bytes()).is_err();
            stepped.settle();
            closed
        })
        .unwrap();

    let mut peer = stepped.greeted();
    for _ in 0..3 {
        let mut sent = too_many - 3;
        for _ in 0..sent {
            peer.send(&request);
            stepped.settle();
        }
        // Room for a part of what is unsent.
        let mut received = vec![0; 3 * request.len()];
        peer.0.read_exact(&mut received).unwrap();
        peer.send(&request);
        sent += 1;
        stepped.settle();

        received.extend(peer.received().0);
        assert!(lines_in(&received) < sent, "the server kept none");
        while stepped.settle() > 0 {
            received.extend(peer.received().0);
        }
        let replies = lines(&received);
        assert_eq!(replies.len(), sent);
        assert!(replies.iter().all(|reply| reply["id"] == json!(id)));
    }
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[test]
fn one_step_is_little_work_and_clients_take_turns() {
    let mut stepped = Stepped::new();
    let mut quiet = stepped.greeted();
    let mut floods: Vec<_> = (1..MAX_CLIENTS).map(|_| stepped.greeted()).collect();
    for flood in &mut floods {
        write_until_full(flood, &b"{\"command\":\"info\"}\n".repeat(64));
    }
    let mut before = stepped.devices.calls();
    for _ in 0..100 {
        assert!(stepped.step());
        let calls = stepped.devices.calls();
        assert!(calls - before <= 512 / 19 + 1);
        before = calls;
        for flood in &mut floods {
            let _ = flood.received();
        }
    }

    quiet.send("{\"id\":\"quiet\",\"command\":\"info\"}\n");
    let steps = (1..).find(|_| {
        assert!(stepped.step(), "the floods are over");
        !quiet.replies().is_empty()
    });
    assert!(steps.unwrap() <= 2 * MAX_CLIENTS, "{steps:?}");
}

#[test]
fn the_ninth_client_is_told_and_closed() {
    let mut stepped = Stepped::new();
    let mut clients: Vec<_> = (0..MAX_CLIENTS).map(|_| stepped.greeted()).collect();
    for _ in 0..3 {
        let mut ninth = stepped.connect();
        stepped.settle();
        let words: Vec<Value> = ninth.last_words();
        assert_eq!(words.len(), 1);
        assert_error(&words[0], "8 clients already");
    }
    for client in &mut clients {
        let reply = stepped.ask(client, "{\"command\":\"info\"}");
        assert!(reply["result"].is_object());
    }
    drop(clients.remove(3));
    stepped.settle();
    stepped.greeted();
}
