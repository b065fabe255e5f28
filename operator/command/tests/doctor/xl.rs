//! Domains of xl.

use super::host::{Host, faults, mend, point, the_fault};

/// libxl's JSON, as `xl list -l` of Xen 4.20 printed it, shortened.
#[test]
fn xl_and_a_domain_that_is_not_hvm() {
    let host = Host::dom0();
    host.program("usr/lib/vgpu-stub/vgpu-stub-device-model", "");
    host.program("usr/lib/vgpu-stub/vgpu-emulator", "");
    host.program("usr/libexec/xen-qemu-system-i386", "");
    let xl = |kind: &str| {
        format!(
            "case \"$*\" in\n\
             'domid vm') echo 7;;\n\
             'list -l vm') echo '[{{\"domid\":7,\"config\":{{\"c_info\":{{\"type\":\"{kind}\"}},\
             \"b_info\":{{\"device_model\":\"/usr/lib/vgpu-stub/vgpu-stub-device-model\",\
             \"extra\":[\"-device\",\"vgpu-stub,addr=0x10,bar0-size=64K\"]}}}}}}]';;\n\
             *) echo;;\nesac"
        )
    };
    host.program("bin/xl", &xl("hvm"));
    let report = host.report(&["--vm", "vm"]);
    assert_eq!(point(&report, "configured")["verdict"], "ok");
    // The emulator is started as xl would.
    let start = "vgpu-stub xen --domid 7 --device slot=0x10,bar0-size=64K ";
    assert!(
        mend(the_fault(&report, "process")).contains(start),
        "{report:#}"
    );
    host.program("bin/xl", &xl("pvh"));
    let report = host.report(&["--vm", "vm"]);
    let fault = faults(&report)[0];
    assert_eq!(fault["id"], "configured");
    assert!(
        fault["cause"].as_str().unwrap().contains("pvh"),
        "{fault:#}"
    );
}

/// xl takes the name as it is; a shell does not.
#[test]
fn a_paused_domain_whose_name_has_a_space() {
    let host = Host::dom0();
    host.program("usr/lib/vgpu-stub/vgpu-stub-device-model", "");
    host.program("usr/lib/vgpu-stub/vgpu-emulator", "");
    host.program("usr/libexec/xen-qemu-system-i386", "");
    host.process(101, "vgpu-stub xen --domid 7", 'S');
    host.process(102, "vgpu-stub xen --serving --domid 7", 'S');
    let config = r#"[{"domid":7,"config":{"c_info":{"type":"hvm"},"b_info":{
        "device_model":"/usr/lib/vgpu-stub/vgpu-stub-device-model",
        "extra":["-device","vgpu-stub"]}}}]"#;
    host.write("config", config);
    let xl = format!(
        "case \"$*\" in\n\
         'domid my vm') echo 7;;\n\
         'list -l my vm') cat {};;\n\
         'list my vm') echo 'Name ID Mem VCPUs State Time(s)'; echo 'my vm 7 512 1 --p--- 1.0';;\n\
         dmesg) echo '(XEN) all is well';;\n\
         *) exit 1;;\nesac",
        host.path("config").display()
    );
    host.program("bin/xl", &xl);
    let report = host.report(&["--vm", "my vm"]);
    assert_eq!(
        mend(the_fault(&report, "guest-kernel")),
        "xl unpause 'my vm'"
    );
}

/// Of a package that is not whole.
#[test]
fn a_host_without_the_emulator() {
    let host = not_running(
        "web1",
        &format!(
            "device_model_override = '{MODEL}'\ndevice_model_args = [ '-device', 'vgpu-stub' ]\n"
        ),
    );
    let report = host.report(&["--vm", "web1"]);
    assert_eq!(point(&report, "installed")["verdict"], "ok");
    std::fs::remove_file(host.path("usr/lib/vgpu-stub/vgpu-emulator")).unwrap();
    let report = host.report(&["--vm", "web1"]);
    assert_eq!(
        mend(point(&report, "installed")),
        "install -D -m 755 vgpu-emulator /usr/lib/vgpu-stub/vgpu-emulator  # it comes with vgpu-stub"
    );
}

const MODEL: &str = "/usr/lib/vgpu-stub/vgpu-stub-device-model";

/// A VM that does not run, with this configuration.
fn not_running(name: &str, config: &str) -> Host {
    let host = Host::dom0();
    host.program("usr/lib/vgpu-stub/vgpu-stub-device-model", "");
    host.program("usr/lib/vgpu-stub/vgpu-emulator", "");
    host.program("usr/libexec/xen-qemu-system-i386", "");
    host.program("bin/xl", "[ $1 = dmesg ] && echo '(XEN) well'");
    host.write(&format!("etc/xen/{name}.cfg"), config);
    host
}

#[test]
fn a_configuration_is_read_as_xl_reads_it() {
    for (config, has) in [
        (
            "device_model_override = '{M}'\ndevice_model_args = [ '-device', 'vgpu-stub' ]\n",
            true,
        ),
        (
            "device_model_override = \"{M}\"\ndevice_model_args = [\n  # the \"device\n  \"-device\", # it's\n \
             \"driver=vgpu-stub,addr=0x19\",\n]",
            true,
        ),
        (
            "device_model_args=['-device','vgpu-stub']\ndevice_model_override='{M}'\ndevice_model_args=['-device','e1000']\n",
            false,
        ),
        (
            "device_model_args=['-device','e1000']\ndevice_model_override='{M}'; device_model_args+=['-device','vgpu-stub']\n",
            true,
        ),
        (
            "device_model_override='{M}' # device_model_args = [ \"-device\", \"vgpu-stub\" ]\n",
            false,
        ),
        ("name = \"vgpu-stub\"\ndevice_model_override='{M}'\n", false),
        (
            "device_model_args_hvm = ['-device', 'vgpu-stub']\ndevice_model_override='{M}'\n",
            true,
        ),
    ] {
        let config = config.replace("{M}", MODEL);
        let host = not_running("vm", &config);
        let report = host.report(&["--vm", "vm"]);
        let configured = point(&report, "configured");
        let verdict = if has { "ok" } else { "fault" };
        assert_eq!(configured["verdict"], verdict, "{config}: {report:#}");
    }
}

#[test]
fn a_configuration_that_xl_cannot_read_is_a_fault_with_its_line() {
    let host = not_running("vm", "name = \"vm\"\n# no end");
    let report = host.report(&["--vm", "vm"]);
    let fault = point(&report, "configured");
    let cause = "xl cannot read /etc/xen/vm.cfg: line 2: a comment needs an end of its line";
    assert_eq!(fault["cause"], cause);
    assert!(
        mend(fault).starts_with("xl create -n /etc/xen/vm.cfg "),
        "{fault:#}"
    );
}

/// In the mend, a shell takes the name as it is.
#[test]
fn a_domain_whose_name_has_an_apostrophe() {
    let config = format!("device_model_override = \"{MODEL}\"\n");
    let host = not_running("it's", &config);
    let report = host.report(&["--vm", "it's"]);
    let file = r"'/etc/xen/it'\''s.cfg'";
    assert_eq!(
        mend(point(&report, "configured")),
        format!("vgpu-stub xl-config --file {file} && xl create {file}")
    );
    let well = "device_model_args = [ '-device', 'vgpu-stub' ]\n";
    host.write("etc/xen/it's.cfg", &(config + well));
    let report = host.report(&["--vm", "it's"]);
    assert_eq!(point(&report, "configured")["verdict"], "ok", "{report:#}");
}
