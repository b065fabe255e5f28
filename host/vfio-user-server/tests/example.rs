//! The example is a device for a client of another make.

use std::os::unix::net::UnixListener;

use vfio_user::Client;
use vfio_user_server::RegionIndex;

#[allow(dead_code, reason = "what is tested is below its main function")]
#[path = "../examples/scratch.rs"]
mod scratch;

const CONFIG: u32 = RegionIndex::Config as u32;
const BAR0: u32 = RegionIndex::Bar0 as u32;

#[test]
fn it_is_found_sized_and_keeps_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || scratch::serve(&listener, &mut scratch::Scratch::new()).unwrap());

    let word = |client: &mut Client, region, offset| {
        let mut data = [0xee; 4];
        client.region_read(region, offset, &mut data).unwrap();
        u32::from_le_bytes(data)
    };
    let mut client = Client::new(&path).unwrap();
    assert_eq!(word(&mut client, CONFIG, 0), 0x5678_1234);
    client.region_write(CONFIG, 0x10, &[0xff; 4]).unwrap();
    assert_eq!(word(&mut client, CONFIG, 0x10), 0xffff_f000);
    client.region_write(CONFIG, 0x14, &[0xff; 4]).unwrap();
    assert_eq!(word(&mut client, CONFIG, 0x14), 0);
    client.region_write(BAR0, 0xffc, &[1, 2, 3, 4]).unwrap();
    drop(client);

    let mut client = Client::new(&path).unwrap();
    assert_eq!(word(&mut client, BAR0, 0xffc), 0x0403_0201);
    client.reset().unwrap();
    assert_eq!(word(&mut client, BAR0, 0xffc), 0);
}
