//! `vgpu-stub cloudstack`, held against the rules by which CloudStack takes or
//! refuses what it prints. There is no CloudStack here: the rules are written
//! down in `rules`, from its source.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

/// CloudStack's own checks. Java sources of apache/cloudstack; function names
/// are theirs.
mod rules {
    use std::collections::BTreeMap;

    use regex::Regex;

    /// The length that the API's parameter `extraconfig` may have
    /// (UpdateVMCmd, DeployVMCmd).
    pub(crate) const LENGTH: usize = 5120;

    /// java.net.URLDecoder.
    pub(crate) fn url_decode(text: &str) -> String {
        let mut bytes = text.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            decoded.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(decoded).unwrap()
    }

    /// UserVmManagerImpl.isValidKeyValuePair: Java's \w and \s are ASCII.
    pub(crate) fn is_valid_key_value_pair(text: &str) -> bool {
        let java = r#"^(?:[\w-\s\.:]*=[\w-\s\.'":]*(?:\s+|$))+$"#;
        // In Java, a '-' after a class stands for itself.
        let pattern = format!("(?-u){}", java.replace(r"\w-\s", r"\w\-\s"));
        Regex::new(&pattern).unwrap().is_match(text)
    }

    /// UserVmManagerImpl.persistExtraConfigXenServer: the VM's details.
    pub(crate) fn persist_xenserver(text: &str, allowed: &str) -> Result<Vec<String>, String> {
        if !is_valid_key_value_pair(text) {
            return Err(format!(
                "'{text}' contains an invalid key/value pair pattern"
            ));
        }
        let mut details = Vec::new();
        for line in Regex::new("\r?\n+").unwrap().split(text) {
            let key = line.split('=').next().unwrap();
            if !allowed
                .split(',')
                .any(|allowed| key.eq_ignore_ascii_case(allowed.trim()))
            {
                return Err(format!(
                    "{line} is not on the list of allowed keys for XenServer"
                ));
            }
            details.push(line.to_owned());
        }
        Ok(details)
    }

    /// ExtraConfigurationUtility.prepareKeyValuePair and
    /// applyConfigWithNestedKeyValue, for parameters that are maps.
    pub(crate) fn apply_to_map(detail: &str) -> Option<(String, String, String)> {
        let (key, value) = detail.split_once('=')?;
        let (map, key) = key.split_once(':')?;
        Some((map.replace('-', "_"), key.to_owned(), value.to_owned()))
    }

    /// UserVmManagerImpl.validateKvmExtraConfig. `skip` is CloudStack's own
    /// way out for texts with a ':'.
    pub(crate) fn validate_kvm(text: &str, allowed: &str, skip: bool) -> Result<(), String> {
        if skip && text.contains(':') {
            return Ok(());
        }
        let wrapped = format!("<config>\n{text}\n</config>");
        let document = roxmltree::Document::parse(&wrapped).map_err(|error| error.to_string())?;
        for element in document
            .descendants()
            .filter(roxmltree::Node::is_element)
            .skip(1)
        {
            // getNodeName has the prefix.
            let name = wrapped[element.range()]
                .trim_start_matches('<')
                .split(|c: char| c.is_whitespace() || "/>".contains(c))
                .next()
                .unwrap();
            if !allowed.split(',').any(|allowed| allowed.trim() == name) {
                return Err(format!(
                    "'{name}' is not on the list of allowed keys for KVM"
                ));
            }
        }
        Ok(())
    }

    /// UserVmManagerImpl.persistExtraConfigKvm: the VM's details.
    pub(crate) fn persist_kvm(text: &str) -> BTreeMap<String, String> {
        // Java's \S.
        let named = Regex::new(r"^[^ \t\n\x0B\f\r]+:$").unwrap();
        let mut details = BTreeMap::new();
        for (number, part) in (1..).zip(text.split("\n\n")) {
            let first = part.split('\n').next().unwrap();
            if named.is_match(first) {
                let name = first.trim_end_matches(':');
                let value = part.replace(&format!("{first}\n"), "");
                details.insert(format!("extraconfig-{name}"), value);
            } else {
                details.insert(format!("extraconfig-{number}"), part.to_owned());
            }
        }
        details
    }

    /// ConfigurationManagerImpl.validateExtraConfigInServiceOfferingDetail.
    pub(crate) fn offering_takes(detail: &str) -> bool {
        !detail.starts_with("extraconfig")
            || detail == "extraconfig-dpdk-numa"
            || detail == "extraconfig-dpdk-hugepages"
            || detail.starts_with("extraconfig-dpdk-interface-")
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
        .arg("cloudstack")
        .args(arguments)
        .output()
        .unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What stderr says of arguments that are refused.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

const XENSERVER: [&str; 4] = [
    "--hypervisor",
    "xenserver",
    "--cloudstack-version",
    "4.20.1",
];
const KVM: [&str; 4] = ["--hypervisor", "kvm", "--cloudstack-version", "4.22"];

fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [base, more].concat()
}

/// The steps, as JSON has them.
struct Plan(Value);

impl Plan {
    fn new(arguments: &[&str]) -> Self {
        Self(serde_json::from_str(&printed(&with(arguments, &["--json"]))).unwrap())
    }

    fn steps(&self) -> &[Value] {
        self.0["steps"].as_array().unwrap()
    }

    /// The only parameter of this name among the calls of this command.
    fn values(&self, command: &str, parameter: &str) -> Vec<&str> {
        let calls = self
            .steps()
            .iter()
            .filter(|step| step["command"] == command);
        calls
            .filter_map(|step| step["parameters"][parameter].as_str())
            .collect()
    }

    /// The setting of the list.
    fn list(&self) -> &str {
        self.values("updateConfiguration", "value")[1]
    }

    /// What a new VM is given, as CloudStack sees it at last.
    fn extra_config(&self) -> String {
        let deploy = self.values("deployVirtualMachine", "extraconfig");
        assert_eq!(deploy, self.values("updateVirtualMachine", "extraconfig"));
        assert!(deploy[0].len() <= rules::LENGTH);
        rules::url_decode(deploy[0])
    }
}

/// The parameters of a query string, decoded once, as CloudStack's ApiServlet
/// does.
fn received(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (rules::url_decode(name), rules::url_decode(value)))
        .collect()
}

#[test]
fn xcp_ng_gets_its_two_keys_through_all_of_cloudstack_s_checks() {
    let plan = Plan::new(&XENSERVER);
    let details = rules::persist_xenserver(&plan.extra_config(), plan.list()).unwrap();
    let applied: Vec<_> = details
        .iter()
        .map(|detail| rules::apply_to_map(detail).unwrap())
        .collect();
    let key = |key: &str, value: &str| ("platform".to_owned(), key.to_owned(), value.to_owned());
    assert_eq!(
        applied,
        [key("xenguest", "vgpu-stub"), key("nomigrate", "true")]
    );
}

#[test]
fn the_rules_refuse_what_cloudstack_refuses() {
    // From CloudStack's own tests, and what would go wrong here.
    for (text, valid) in [
        (
            "is-a-template=true\nHVM-boot-policy=\nPV-bootloader=pygrub",
            true,
        ),
        ("param:key-2=value2", true),
        ("key", false),
        ("platform:device=slot=1,x", false),
        ("platform:xenguest=/usr/bin/x", false),
    ] {
        assert_eq!(rules::is_valid_key_value_pair(text), valid, "{text}");
    }
    let list = "platform:xenguest,platform:nomigrate";
    assert!(rules::persist_xenserver("platform: xenguest=a", list).is_err());
    assert!(rules::persist_xenserver("platform:other=a", list).is_err());
    assert!(rules::validate_kvm("<devices/>", "qemu:arg", true).is_err());
    assert!(rules::validate_kvm("<a xmlns:b='c'/>", "", true).is_ok());
    assert!(rules::persist_kvm("named:\n<x/>").contains_key("extraconfig-named"));
}

/// QEMU's arguments, from the domain that CloudStack's agent gives to libvirt:
/// its own elements, and the extra configuration at the end of the root.
fn qemu_arguments(extra_config: &str) -> Vec<String> {
    let details = rules::persist_kvm(extra_config);
    assert_eq!(details.keys().collect::<Vec<_>>(), ["extraconfig-1"]);
    let domain = format!(
        "<domain type='kvm'>\n<name>i-2-3-VM</name>\n<devices></devices>\n{}</domain>",
        details["extraconfig-1"]
    );
    let document = roxmltree::Document::parse(&domain).unwrap();
    let namespace = "http://libvirt.org/schemas/domain/qemu/1.0";
    let mut lines = document
        .root_element()
        .children()
        .filter(|node| node.has_tag_name((namespace, "commandline")));
    let line = lines.next().unwrap();
    assert!(lines.next().is_none());
    line.children()
        .filter(roxmltree::Node::is_element)
        .map(|argument| {
            assert!(argument.has_tag_name((namespace, "arg")));
            argument.attribute("value").unwrap().to_owned()
        })
        .collect()
}

#[test]
fn kvm_gets_its_arguments_through_all_of_cloudstack_s_checks() {
    let device = [
        "--device",
        "slot=24,bar0-size=64K",
        "--device",
        "revision=2",
    ];
    let socket = ["--vfio-user", "/run/vgpu-stub/a&b/x\"<.sock"];
    let vfio_user = "{\"addr\":\"0x18\",\"driver\":\"vfio-user-pci\",\"socket\":\
        {\"path\":\"/run/vgpu-stub/a&b/x\\\"<.sock\",\"type\":\"unix\"}}";
    let cases: [(&[&str], &[&str]); 3] = [
        (&[], &["-device", "vgpu-stub,addr=0x18"]),
        (
            &device,
            &[
                "-device",
                "vgpu-stub,bar0-size=64K,addr=0x18",
                "-device",
                "vgpu-stub,revision=2,addr=0x19",
            ],
        ),
        (&socket, &["-device", vfio_user]),
    ];
    for (given, expected) in cases {
        let plan = Plan::new(&with(&KVM, given));
        let text = plan.extra_config();
        // With today's way out for texts with a ':', and should it go.
        rules::validate_kvm(&text, plan.list(), true).unwrap();
        rules::validate_kvm(&text, plan.list(), false).unwrap();
        assert_eq!(qemu_arguments(&text), expected, "{given:?}");
    }
}

#[test]
fn no_service_offering_gets_what_cloudstack_takes_for_dpdk_alone() {
    assert!(!rules::offering_takes("extraconfig-1"));
    for base in [&XENSERVER, &KVM] {
        let plan = Plan::new(&with(base, &["--host-tag", "gpu"]));
        assert_eq!(plan.values("createServiceOffering", "hosttags"), ["gpu"]);
        assert_eq!(plan.values("updateHost", "hosttags"), ["gpu"]);
        for step in plan.steps() {
            let details = step["parameters"].as_object().unwrap();
            let offering = step["command"] == "createServiceOffering";
            assert!(!offering || details.keys().all(|name| rules::offering_takes(name)));
        }
    }
}

#[test]
fn the_list_keeps_what_it_had() {
    let existing = [
        "--existing-list",
        "platform:exp-nested-hvm, PV-args,platform:nomigrate",
    ];
    let plan = Plan::new(&with(&XENSERVER, &existing));
    let list = "platform:exp-nested-hvm,PV-args,platform:nomigrate,platform:xenguest";
    assert_eq!(plan.list(), list);
    let without = printed(&XENSERVER);
    assert!(without.contains("This replaces the list"), "{without}");
    assert_eq!(
        plan.values("updateConfiguration", "name"),
        [
            "enable.additional.vm.configuration",
            "allow.additional.vm.configuration.list.xenserver"
        ]
    );
}

#[test]
fn one_account_can_be_allowed_alone() {
    let plan = Plan::new(&with(&KVM, &["--account-id", "1d8c-9"]));
    assert_eq!(plan.values("updateConfiguration", "accountid"), ["1d8c-9"]);
}

#[test]
fn the_text_is_a_script_for_cloudmonkey_with_the_calls_of_the_json() {
    let existing = ["--existing-list", "memoryBacking, a b"];
    let remove = [&existing[..], &["--remove"]].concat();
    for arguments in [
        with(&XENSERVER, &existing),
        with(&KVM, &existing),
        with(&XENSERVER, &remove),
        with(&KVM, &remove),
    ] {
        let script = format!(
            "cmk() {{ printf '<%s>' \"$@\"; echo; }}\n{}",
            printed(&arguments)
        );
        let shell = Command::new("sh").args(["-euc", &script]).output().unwrap();
        assert!(shell.status.success(), "{shell:?}");
        let ran = String::from_utf8(shell.stdout).unwrap();
        let plan = Plan::new(&arguments);
        assert_eq!(ran.lines().count(), plan.steps().len());
        for (line, step) in ran.lines().zip(plan.steps()) {
            let words: Vec<&str> = line[1..line.len() - 1].split("><").collect();
            let command = words[..2].concat();
            assert_eq!(command, step["command"].as_str().unwrap().to_lowercase());
            let mut sent: BTreeMap<String, String> = BTreeMap::new();
            for word in &words[2..] {
                let (name, value) = word.split_once('=').unwrap();
                sent.insert(name.into(), value.into());
            }
            let parameters: BTreeMap<String, String> =
                serde_json::from_value(step["parameters"].clone()).unwrap();
            assert_eq!(sent, parameters);
            let mut query = received(step["query"].as_str().unwrap());
            assert_eq!(query.remove("command").as_deref(), step["command"].as_str());
            assert_eq!(query, parameters);
        }
    }
}

/// What the steps have set is taken back, and nothing else: the list has what it had before.
#[test]
fn the_way_back_undoes_each_step() {
    for (hypervisor, keys) in [
        (&XENSERVER, "platform:xenguest,platform:nomigrate"),
        (&KVM, "qemu:commandline,qemu:arg"),
    ] {
        let existing = format!("memoryBacking,{keys},a b");
        let plan = Plan::new(&with(
            hypervisor,
            &["--existing-list", &existing, "--remove"],
        ));
        let commands = plan
            .steps()
            .iter()
            .map(|step| step["command"].as_str().unwrap());
        let commands: Vec<&str> = commands.collect();
        assert_eq!(
            commands,
            [
                "listVirtualMachines",
                "updateVirtualMachine",
                "updateVirtualMachine",
                "deleteServiceOffering",
                "updateHost",
                "updateConfiguration",
                "updateConfiguration",
            ]
        );
        assert_eq!(
            plan.values("updateVirtualMachine", "cleanupdetails"),
            ["true"]
        );
        assert_eq!(
            plan.values("updateConfiguration", "value"),
            ["memoryBacking,a b", "false"]
        );
    }
    let said = refused(&with(&KVM, &["--remove", "--device", "revision=2"]));
    assert!(said.contains("cannot be used with"), "{said}");
}

/// As CloudStack writes its hypervisors and its own builds.
#[test]
fn names_and_versions_are_taken_as_cloudstack_writes_them() {
    for (hypervisor, version) in [
        ("KVM", "4.22.0.0-SNAPSHOT"),
        ("XenServer", "4.20.1.0"),
        ("XCP-ng", "4.20.1"),
    ] {
        let arguments = ["--hypervisor", hypervisor, "--cloudstack-version", version];
        Plan::new(&arguments);
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_mend() {
    let old = [
        "--hypervisor",
        "xenserver",
        "--cloudstack-version",
        "4.19.0.2",
    ];
    let cases: [(Vec<&str>, &str, &str); 9] = [
        (
            old.to_vec(),
            "into other_config",
            "upgrade CloudStack to 4.19.1",
        ),
        (
            with(&XENSERVER, &["--device", "revision=2"]),
            "no meaning for XCP-ng",
            "/etc/vgpu-stub/xcp.conf",
        ),
        (
            with(&XENSERVER, &["--vfio-user", "/run/x"]),
            "does not know vfio-user",
            "leave it out",
        ),
        (
            with(&KVM, &["--vfio-user", "/run/x", "--device", "revision=2"]),
            "the server has the properties",
            "vgpu-stub vfio-user --device",
        ),
        (
            with(&KVM, &["--vfio-user", "x"]),
            "no full path",
            "/run/vgpu-stub/",
        ),
        (
            with(&KVM, &["--device", "slot=32"]),
            "slot=32",
            "vgpu-stub xen --help",
        ),
        (
            with(&KVM, &["--device", "slot=0x18", "--device", "slot=24"]),
            "two devices have slot 0x18",
            "a slot of its own",
        ),
        (
            with(&KVM, &["--host-tag", "a,b"]),
            "expected one word",
            "--help",
        ),
        (
            with(&KVM, &["--existing-list", "a'b"]),
            "is in no key",
            "--help",
        ),
    ];
    for (arguments, cause, mend) in cases {
        let said = refused(&arguments);
        assert!(
            said.contains(cause) && said.contains(mend),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
}
