//! The programs as a user and a client of vfio-user meet them. What they measure takes a guest: `cargo xtask bench`.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use vfio_bindings::bindings::vfio::{VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX};
use vfio_user::Client;

/// A server, which is killed when the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_minimal_server_has_the_device() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("socket");
    let mut server = Server(
        Command::new(cargo_bin("minimal-vfio-user-server"))
            .args(["vfio-user", "--socket"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
    assert_eq!(
        line,
        format!("vgpu-stub vfio-user: ready on {}\n", socket.display())
    );

    let mut client = Client::new(&socket)?;
    let mut read = |region, offset| -> Result<u32, Box<dyn Error>> {
        let mut data = [0; 4];
        client.region_read(region, offset, &mut data)?;
        Ok(u32::from_le_bytes(data))
    };
    assert_eq!(read(VFIO_PCI_CONFIG_REGION_INDEX, 0x00)?, 0x1111_1af4);
    assert_eq!(read(VFIO_PCI_CONFIG_REGION_INDEX, 0x08)?, 0x1200_0001);
    assert_eq!(read(VFIO_PCI_CONFIG_REGION_INDEX, 0x2c)?, 0x1111_1af4);

    let mut write_and_read = |region, offset, value: u32| -> Result<u32, Box<dyn Error>> {
        let mut data = value.to_le_bytes();
        client.region_write(region, offset, &data)?;
        client.region_read(region, offset, &mut data)?;
        Ok(u32::from_le_bytes(data))
    };
    let sized = write_and_read(VFIO_PCI_CONFIG_REGION_INDEX, 0x10, 0xffff_ffff)?;
    assert_eq!(sized, 0xffff_f000);
    let last = write_and_read(VFIO_PCI_BAR0_REGION_INDEX, 0xffc, 0x1234_5678)?;
    assert_eq!(last, 0x1234_5678);
    Ok(())
}

/// The line that names the cause, and the one that says what to do.
fn error_of(program: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(cargo_bin(program))
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = text.lines().collect();
    match *lines {
        [cause, mend] => (cause.into(), mend.into()),
        _ => panic!("not a cause and a mend:\n{text}"),
    }
}

#[test]
fn errors_say_what_to_do() {
    assert_eq!(
        error_of("bar0-cost", &["0000:ff:1f.7", "0000:ff:1f.6"]),
        (
            "error: 0000:ff:1f.7 cannot be enabled: No such file or directory (os error 2)".into(),
            "mend:  run this as root, with an address that lspci -D prints".into()
        )
    );
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().to_str().unwrap();
    assert_eq!(
        error_of(
            "minimal-vfio-user-server",
            &["vfio-user", "--socket", taken]
        ),
        (
            format!("error: cannot serve on {taken}: Socket path already exists"),
            "mend:  choose a path that is free, in a folder that you can write to".into()
        )
    );
}
