//! Tries what a handle that is restricted to one domain can do to another: a
//! test expects that each attempt fails there, and works on its own domain.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use xen_dm::DomainId;
use xen_dm::device_model::{DeviceModel, ServerId};
use xen_dm::event_channel::EventChannels;

/// Whether an attempt did what it should.
struct Verdict(bool);

impl Verdict {
    fn expect<T, E: std::fmt::Display>(&mut self, what: &str, works: bool, got: &Result<T, E>) {
        let (word, detail) = match got {
            Ok(_) => ("works", String::new()),
            Err(error) => ("refused", format!(" ({error})")),
        };
        let right = got.is_ok() == works;
        self.0 &= right;
        let mark = if right { "" } else { "  <- WRONG" };
        println!("{what}: {word}{detail}{mark}");
    }
}

fn main() -> ExitCode {
    let domains: Vec<u16> = std::env::args()
        .skip(1)
        .filter_map(|id| id.parse().ok())
        .collect();
    let [own, other] = domains[..] else {
        eprintln!("usage: reach OWN-DOMID OTHER-DOMID");
        return ExitCode::from(2);
    };
    match attempts(DomainId(own), DomainId(other)) {
        Ok(Verdict(true)) => ExitCode::SUCCESS,
        Ok(Verdict(false)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot try: {error}");
            ExitCode::from(2)
        }
    }
}

fn attempts(own: DomainId, other: DomainId) -> std::io::Result<Verdict> {
    let mut verdict = Verdict(true);
    // Free to reach both, so that a refusal below is the restriction's.
    let free = DeviceModel::open(other)?;
    let server = free.create_server()?;
    verdict.expect(
        "free: disable another's server",
        true,
        &free.set_enabled(server, false),
    );
    verdict.expect(
        "free: map another's requests",
        true,
        &free.map_requests(server),
    );
    verdict.expect(
        "free: map another's memory",
        true,
        &free.map_guest_page(0x100),
    );

    let model = DeviceModel::open(own)?;
    model.restrict()?;
    let own_server = model.create_server()?;
    verdict.expect(
        "own: disable a server",
        true,
        &model.set_enabled(own_server, false),
    );
    verdict.expect("own: map requests", true, &model.map_requests(own_server));
    verdict.expect("own: map memory", true, &model.map_guest_page(0x100));
    verdict.expect("own: destroy it", true, &model.destroy_server(own_server));

    // The same file, for the other domain.
    let astray = model.for_domain(other);
    verdict.expect(
        "another's device model",
        false,
        &astray.set_enabled(server, false),
    );
    verdict.expect("another's ioreq server", false, &astray.create_server());
    verdict.expect("another's requests", false, &astray.map_requests(server));
    verdict.expect("another's memory", false, &astray.map_guest_page(0x100));
    verdict.expect(
        "another's server 0",
        false,
        &astray.destroy_server(ServerId(0)),
    );
    verdict.expect("its own restriction", false, &astray.restrict());

    let requests = free.map_requests(server)?;
    free.set_enabled(server, true)?;
    let port = requests.port(0).unwrap_or_default();
    let channels = EventChannels::open()?;
    channels.restrict(own)?;
    verdict.expect(
        "another's event channel",
        false,
        &channels.bind(other, port),
    );
    verdict.expect("its own restriction", false, &channels.restrict(other));
    verdict.expect(
        "free: another's event channel",
        true,
        &EventChannels::open()?.bind(other, port),
    );
    free.destroy_server(server)?;
    Ok(verdict)
}
