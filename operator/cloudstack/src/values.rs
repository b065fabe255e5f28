//! What the tables leave open, filled in.

use crate::extra_config::ExtraConfig;
use crate::options::Args;
use crate::version::XCP_NG_8_3;

/// What each name between braces stands for.
pub(crate) struct Values([(&'static str, String); 8]);

impl Values {
    pub(crate) fn new(args: &Args, config: &ExtraConfig) -> Self {
        let existing = args.existing_list.split(',').map(str::trim);
        let without: Vec<&str> = existing
            .clone()
            .filter(|key| !config.keys.contains(key))
            .collect();
        let mut with: Vec<&str> = Vec::new();
        for key in existing.chain(config.keys.iter().copied()) {
            if !key.is_empty() && !with.contains(&key) {
                with.push(key);
            }
        }
        let hypervisor = args.hypervisor.name();
        Self([
            ("account", args.account_id.clone().unwrap_or_default()),
            ("extra configuration", config.encoded()),
            ("host tag", args.host_tag.clone()),
            ("keys", config.keys.join(" and ")),
            ("list with keys", with.join(",")),
            ("list without keys", without.join(",")),
            (
                "setting",
                format!("allow.additional.vm.configuration.list.{hypervisor}"),
            ),
            ("version for XCP-ng 8.3", XCP_NG_8_3.to_string()),
        ])
    }

    /// The text with what its names stand for; a name that there is not stays as it is.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let named = after.split_once('}').and_then(|(name, after)| {
                let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
                Some((value.as_str(), after))
            });
            let (value, after) = named.unwrap_or(("{", after));
            filled += before;
            filled += value;
            rest = after;
        }
        filled + rest
    }
}
