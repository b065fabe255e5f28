//! What xl keeps of a domain's configuration: `xl list -l`, JSON (libxl:
//! libxl_types.idl, libxl_domain_config).

use serde_json::Value;

use super::subject::Subject;
use super::toolstack::Toolstack;

/// The configuration of a running domain. It is asked for once.
pub(super) fn config(subject: &Subject) -> Result<&Value, &str> {
    let config = subject.xl_config.get_or_init(|| {
        let Toolstack::Xl { name, .. } = &subject.toolstack else {
            return Err("not a domain of xl".into());
        };
        let text = subject.host.run("xl", &["list", "-l", name]);
        let text = text.map_err(|error| error.to_string())?;
        let list: Value =
            serde_json::from_slice(text.as_bytes()).map_err(|_| "no JSON".to_owned())?;
        let entry = match &list {
            Value::Array(entries) => entries.first().cloned().unwrap_or_default(),
            entry => entry.clone(),
        };
        match &entry["config"] {
            Value::Null => Err("no configuration".to_owned()),
            config => Ok(config.clone()),
        }
    });
    config.as_ref().map_err(String::as_str)
}

/// `device_model_override`
pub(super) fn device_model(config: &Value) -> Option<&str> {
    config["b_info"]["device_model"].as_str()
}

/// `device_model_args` and `device_model_args_hvm`
pub(super) fn device_model_arguments(config: &Value) -> Vec<String> {
    let lists = ["extra", "extra_hvm"].map(|key| config["b_info"][key].as_array());
    let words = lists.into_iter().flatten().flatten();
    words
        .filter_map(|word| Some(word.as_str()?.to_owned()))
        .collect()
}

/// `hvm`, `pvh` or `pv`
pub(super) fn domain_type(config: &Value) -> Option<&str> {
    config["c_info"]["type"].as_str()
}
