//! Makes an ioreq server of a domain and leaves it there: a test counts so how
//! many are free.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use xen_dm::DomainId;
use xen_dm::device_model::DeviceModel;

fn main() -> ExitCode {
    let Some(domain) = std::env::args().nth(1).and_then(|id| id.parse().ok()) else {
        eprintln!("usage: ioreq-server DOMID");
        return ExitCode::from(2);
    };
    let made = DeviceModel::open(DomainId(domain))
        .map_err(|error| error.to_string())
        .and_then(|model| model.create_server().map_err(|errno| errno.to_string()));
    match made {
        Ok(server) => {
            println!("ioreq server {}", server.0);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("no ioreq server: {error}");
            ExitCode::FAILURE
        }
    }
}
