//! The plugin that XAPI runs for `xe host-call-plugin plugin=vgpu-stub`. The
//! call comes as XML-RPC in the one argument, and its answer goes to stdout
//! (xen-api `ocaml/xapi/xapi_plugins.ml`, `ocaml/libs/http-lib/xMLRPC.ml`).

use std::env::ArgsOs;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use vgpu_terminal::Failure;

use crate::host::Host;
use crate::running::Running;
use crate::settings::Settings;

/// The end of the path by which this program knows what it is to be.
pub const NAME: &str = "xapi.d/plugins/vgpu-stub";

/// XAPI's word for a call that failed.
const FAILED: &str = "XENAPI_PLUGIN_FAILURE";

type Function = fn(&Host) -> Result<Value, Failure>;

const FUNCTIONS: [(&str, Function); 2] = [("status", status), ("list", list)];

/// Acts as the plugin.
pub fn main(mut arguments: ArgsOs) -> ExitCode {
    let call = arguments.next().unwrap_or_default();
    let answer = response(&answer(&Host::here(), &call.to_string_lossy()));
    // XAPI takes an answer that tells of a failure from who ends well.
    match io::stdout().write_all(answer.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Whether the kit is whole here.
fn status(host: &Host) -> Result<Value, Failure> {
    let mut problems = host.problems();
    let settings = Settings::read(host).unwrap_or_else(|failure| {
        problems.push(failure.cause);
        Settings::default()
    });
    let records = Running::lock(host)?.all();
    let devices: usize = records.iter().map(|record| record.devices.len()).sum();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": problems.is_empty(),
        "problems": problems,
        "devices": devices,
        "max_devices": settings.max_devices(),
    }))
}

/// The VMs that have devices here now.
fn list(host: &Host) -> Result<Value, Failure> {
    Ok(json!({ "running": Running::lock(host)?.all() }))
}

fn answer(host: &Host, call: &str) -> Result<String, Failure> {
    let name = between(call, "<methodName>", "</methodName>").unwrap_or_default();
    let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        let names = FUNCTIONS.map(|(name, _)| name).join(", ");
        return Err(Failure::new(
            format!("there is no function '{name}'"),
            format!("call one of: {names}"),
        ));
    };
    function(host).map(|value| value.to_string())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// The answer as XAPI reads it.
fn response(answer: &Result<String, Failure>) -> String {
    let (status, name, value) = match answer {
        Ok(text) => ("Success", "Value", value(text)),
        Err(failure) => {
            let text = format!("{}; {}", failure.cause, failure.mend);
            let words = [FAILED, &text].map(value).concat();
            let array = format!("<value><array><data>{words}</data></array></value>");
            ("Failure", "ErrorDescription", array)
        }
    };
    format!(
        "<methodResponse><params><param><value><struct>\
         <member><name>Status</name>{}</member>\
         <member><name>{name}</name>{value}</member>\
         </struct></value></param></params></methodResponse>",
        self::value(status)
    )
}

fn value(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<value>{text}</value>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_form_that_xapi_reads() {
        assert_eq!(
            response(&Ok("a<b>&c".into())),
            "<methodResponse><params><param><value><struct>\
             <member><name>Status</name><value>Success</value></member>\
             <member><name>Value</name><value>a&lt;b&gt;&amp;c</value></member>\
             </struct></value></param></params></methodResponse>"
        );
        assert_eq!(
            response(&Err(Failure::new("cause", "mend"))),
            "<methodResponse><params><param><value><struct>\
             <member><name>Status</name><value>Failure</value></member>\
             <member><name>ErrorDescription</name><value><array><data>\
             <value>XENAPI_PLUGIN_FAILURE</value><value>cause; mend</value></data></array></value></member>\
             </struct></value></param></params></methodResponse>"
        );
    }
}
