//! The acts, by what the attacker does. The names are the book's.

use std::fs::File;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FlockOperation, SealFlags, fcntl_add_seals, flock, ftruncate};
use rustix::net::{SendFlags, send};

use crate::attacker::{Attack, all, memory};
use crate::raw::{
    DMA_MAP, DMA_UNMAP, MOST_FILES, NO_REPLY, REGION_READ, REGION_WRITE, RESET, Raw, SET_IRQS,
    VERSION, access, dma_map, message,
};

const EBUSY: u32 = 16;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

/// The most that one message may carry.
const MAX_FILES: usize = 16;
const MAX_MAPS: u64 = 65_535;

type Act = fn(&mut Attack<'_>);

pub(crate) const ACTS: &[(&str, Act)] = &[
    ("connects 20 times and says nothing", |attack| {
        let silent: Vec<_> = (0..20).map(|_| attack.connect()).collect();
        attack.keep(silent);
    }),
    (
        "sends the first bytes of a message, and no more",
        |attack| {
            for bytes in [1, 8, 15] {
                let mut client = attack.connect();
                let proposal = message(VERSION, 0, &[0; 4]);
                client.send(&proposal[..bytes], &[]).unwrap();
                attack.keep(client);
            }
        },
    ),
    ("sends its first message byte by byte", |attack| {
        let mut client = attack.connect();
        attack.keep(client.0.try_clone().unwrap());
        thread::spawn(move || {
            for byte in message(VERSION, 0, &[0; 4000]) {
                if client.send(&[byte], &[]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
    }),
    ("sends noise", |attack| {
        for _ in 0..10 {
            let mut client = attack.connect();
            let _ = client.send(&[0xa5; 4096], &[]);
            attack.keep(client);
        }
    }),
    ("proposes another version", |attack| {
        let mut client = attack.connect();
        let refused = client.ask(VERSION, &[9, 0, 9, 0], &[]);
        assert_eq!(refused.unwrap(), EINVAL);
        client.ends();
        attack.keep(client);
    }),
    ("proposes capabilities of 60,000 nested lists", |attack| {
        let mut client = attack.connect();
        let text = [vec![0; 4], vec![b'['; 60_000], vec![0]].concat();
        assert_eq!(client.ask(VERSION, &text, &[]).unwrap(), EINVAL);
        client.ends();
        attack.keep(client);
    }),
    ("begins with another command", |attack| {
        let mut client = attack.connect();
        assert_eq!(client.ask(RESET, &[], &[]).unwrap(), EINVAL);
        client.ends();
        attack.keep(client);
    }),
    ("connects and leaves 500 times", |attack| {
        for _ in 0..500 {
            drop(attack.connect());
        }
    }),
    ("asks for the device 30 times while it has it", |attack| {
        let has_it = attack.begun();
        for _ in 0..30 {
            let mut client = attack.connect();
            assert_eq!(client.begin().unwrap(), EBUSY);
        }
        drop(has_it);
    }),
    (
        "asks for the device, and never reads the answer",
        |attack| {
            let has_it = attack.begun();
            for _ in 0..20 {
                let mut client = attack.connect();
                client.propose();
                attack.keep(client);
            }
            // Until all are turned away: whoever has not been may have it next.
            thread::sleep(Duration::from_millis(500));
            assert_eq!(attack.connect().begin().unwrap(), EBUSY);
            drop(has_it);
        },
    ),
    ("closes one direction of its connection alone", |attack| {
        let client = attack.begun();
        client.0.shutdown(Shutdown::Write).unwrap();
        attack.keep(client);
    }),
    ("sends messages of impossible sizes", |attack| {
        for size in [0u32, 15, 1 << 20, u32::MAX] {
            let mut client = attack.begun();
            let mut bytes = message(RESET, 0, &[]);
            bytes[4..8].copy_from_slice(&size.to_ne_bytes());
            client.send(&bytes, &[]).unwrap();
            client.ends();
            attack.keep(client);
        }
    }),
    ("sends commands that do not exist", |attack| {
        let mut client = attack.begun();
        for command in (14..1000).chain([0, 6, 11, 12, u16::MAX]) {
            assert_ne!(client.ask(command, &[0; 32], &[]).unwrap(), 0);
        }
    }),
    ("sends replies to what nobody asked", |attack| {
        let mut client = attack.begun();
        for kind in 1..16 {
            client.send(&message(RESET, kind, &[]), &[]).unwrap();
        }
    }),
    ("sends an out-of-band byte", |attack| {
        let client = attack.begun();
        // Kernels before 5.15 have none on such sockets.
        let _ = send(&client.0, &[1], SendFlags::OOB | SendFlags::NOSIGNAL);
    }),
    (
        "writes 20,000 times without waiting, and leaves",
        |attack| {
            attack.begun().write_without_reply(20_000);
        },
    ),
    ("asks, and never reads a reply", |attack| {
        let mut client = attack.begun();
        let read = message(REGION_READ, 0, &access(0, 7, 256));
        client
            .0
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        while client.0.write_all(&read).is_ok() {}
    }),
    ("leaves as the server's queue is full", |attack| {
        let mut client = attack.begun();
        attack.unseen(|_| {
            client.flood();
            drop(client);
        });
    }),
    ("reads and writes outside of all regions", |attack| {
        let mut client = attack.begun();
        for region in (0..12).chain([u32::MAX]) {
            for (offset, count) in [
                (1 << 40, 4),
                (u64::MAX, 4),
                (0xfff, 2),
                (0, u32::MAX),
                (0, 0),
            ] {
                for command in [REGION_READ, REGION_WRITE] {
                    let asked = client.ask(command, &access(offset, region, count), &[]);
                    assert_ne!(asked.unwrap(), 0);
                }
            }
        }
    }),
    ("writes noise to all of config space and BAR0", |attack| {
        let mut client = attack.begun();
        for (region, size) in [(7, 4096), (0, 4096)] {
            for offset in (0..size).step_by(4) {
                let noise = (offset as u32).wrapping_mul(0x9e37_79b9).to_ne_bytes();
                let write = [access(offset, region, 4), noise.to_vec()].concat();
                client.ask(REGION_WRITE, &write, &[]).unwrap();
            }
        }
    }),
    ("resets the device 5,000 times", |attack| {
        let mut client = attack.begun();
        for _ in 0..5000 {
            assert_eq!(client.ask(RESET, &[], &[]).unwrap(), 0);
        }
    }),
    (
        "maps 65,536 parts of memory that it does not share",
        |attack| {
            let mut client = attack.begun();
            assert_eq!(map_many(&mut client, MAX_MAPS + 1), ENOSPC);
        },
    ),
    ("maps 65,535 parts of one file", |attack| {
        let mut client = attack.begun();
        let file = memory(0x1000);
        for index in 0..MAX_MAPS {
            let bytes = message(DMA_MAP, NO_REPLY, &dma_map(index << 12, 0x1000));
            client.send(&bytes, &[file.as_fd()]).unwrap();
        }
        assert_eq!(client.ask(RESET, &[], &[]).unwrap(), 0);
    }),
    ("maps 1,000 files", |attack| {
        let mut client = attack.begun();
        let mut refused = 0;
        for index in 0..1000 {
            let map = dma_map(index << 12, 0x1000);
            let answer = client.ask(DMA_MAP, &map, &[memory(0x1000).as_fd()]);
            refused += u32::from(answer.unwrap() == ENOSPC);
        }
        assert_eq!(refused, 1000 - 256);
    }),
    ("maps parts that overlap or have no end", |attack| {
        let mut client = attack.begun();
        for (address, size) in [
            (0, 1 << 40),
            (0x1000, 0x1000),
            (u64::MAX - 0xfff, 0x2000),
            (1, 1),
        ] {
            client.ask(DMA_MAP, &dma_map(address, size), &[]).unwrap();
            client.ask(DMA_UNMAP, &dma_map(address, size), &[]).unwrap();
        }
    }),
    ("maps a file that is shorter than the map", |attack| {
        let mut client = attack.begun();
        let map = dma_map(0, 0x2000);
        let answer = client.ask(DMA_MAP, &map, &[memory(0x1000).as_fd()]);
        assert_eq!(answer.unwrap(), EINVAL);
    }),
    ("cuts its memory short once it is mapped", |attack| {
        let mut client = attack.begun();
        let file = memory(0x10_0000);
        let map = dma_map(0, 0x10_0000);
        assert_eq!(client.ask(DMA_MAP, &map, &[file.as_fd()]).unwrap(), 0);
        ftruncate(&file, 0).unwrap();
        assert_eq!(client.ask(RESET, &[], &[]).unwrap(), 0);
        attack.keep(file);
    }),
    (
        "seals its memory against writes once it is mapped",
        |attack| {
            let mut client = attack.begun();
            let file = memory(0x1000);
            let map = dma_map(0, 0x1000);
            assert_eq!(client.ask(DMA_MAP, &map, &[file.as_fd()]).unwrap(), 0);
            fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
        },
    ),
    ("locks the file of its memory", |attack| {
        let mut client = attack.begun();
        let file = memory(0x1000);
        flock(&file, FlockOperation::LockExclusive).unwrap();
        let map = dma_map(0, 0x1000);
        assert_eq!(client.ask(DMA_MAP, &map, &[file.as_fd()]).unwrap(), 0);
        attack.keep(file);
    }),
    (
        "maps pipes, sockets, devices, folders and files on a disk",
        |attack| {
            let mut client = attack.begun();
            let (pipe, _writer) = std::io::pipe().unwrap();
            let (socket, _peer) = UnixStream::pair().unwrap();
            let opened = |path: &str| File::open(path).unwrap();
            let paths = [
                "/dev/zero",
                "/",
                "/proc/self/maps",
                env!("CARGO_BIN_EXE_vgpu-emulator"),
            ];
            let files = paths.map(|path| opened(path).into());
            for wrong in files.into_iter().chain([pipe.into(), socket.into()]) {
                let file: std::os::fd::OwnedFd = wrong;
                let answer = client.ask(DMA_MAP, &dma_map(0, 0x1000), &[file.as_fd()]);
                assert_eq!(answer.unwrap(), EINVAL);
            }
        },
    ),
    (
        "maps its own connection, and the server's end of it within itself",
        |attack| {
            let mut client = attack.begun();
            let own = client.0.try_clone().unwrap();
            let map = dma_map(0, 0x1000);
            assert_eq!(client.ask(DMA_MAP, &map, &[own.as_fd()]).unwrap(), EINVAL);
            // The server holds it for a moment.
            thread::sleep(Duration::from_millis(50));
            // A ring of sockets that hold each other, which only the kernel finds.
            let (one, other) = UnixStream::pair().unwrap();
            Raw(one.try_clone().unwrap())
                .send(&[0], &[other.as_fd()])
                .unwrap();
            Raw(other.try_clone().unwrap())
                .send(&[0], &[one.as_fd()])
                .unwrap();
            assert_eq!(client.ask(DMA_MAP, &map, &[one.as_fd()]).unwrap(), EINVAL);
        },
    ),
    ("maps a socket whose close hangs, and goes on", |attack| {
        let mut client = attack.begun();
        attack.unseen(|attack| {
            let socket = attack.lingering();
            let map = message(DMA_MAP, 0, &dma_map(0, 0x1000));
            client.send(&map, &[socket.as_fd()]).unwrap();
        });
        assert_eq!(client.errno(), EINVAL);
        for _ in 0..100 {
            assert_eq!(client.ask(RESET, &[], &[]).unwrap(), 0);
        }
    }),
    (
        "maps its own connection behind such a socket, and leaves",
        |attack| {
            let mut client = attack.begun();
            attack.unseen(|attack| {
                let socket = attack.lingering();
                let own = client.0.try_clone().unwrap();
                let bytes = message(DMA_MAP, 0, &dma_map(0, 0x1000));
                client.send(&bytes, &[socket.as_fd()]).unwrap();
                client.send(&bytes, &[own.as_fd()]).unwrap();
            });
            drop(client);
            // It has not left for the server, which drops it for that reason.
            thread::sleep(Duration::from_millis(1200));
        },
    ),
    (
        "sends 16 sockets whose close hangs with each command",
        |attack| {
            for command in [RESET, REGION_READ, DMA_UNMAP] {
                let mut client = attack.begun();
                attack.unseen(|attack| {
                    let sockets = [(); MAX_FILES].map(|()| attack.lingering());
                    client
                        .send(&message(command, 0, &[0; 16]), &all(&sockets))
                        .unwrap();
                });
                assert_eq!(client.errno(), EINVAL);
            }
        },
    ),
    (
        "sends more descriptors than a message may carry, whose close hangs",
        |attack| {
            // The kernel drops them, in the midst of a receive.
            let mut client = attack.begun();
            attack.unseen(|attack| {
                let socket = attack.lingering();
                let mut files = vec![socket.as_fd(); 1];
                let harmless = memory(0);
                files.splice(0..0, vec![harmless.as_fd(); MOST_FILES - 1]);
                client.send(&message(RESET, 0, &[]), &files).unwrap();
            });
            thread::sleep(Duration::from_millis(20));
        },
    ),
    ("leaves with such descriptors unread", |attack| {
        let mut client = attack.begun();
        attack.unseen(|attack| {
            // The server reads nothing after it.
            let mut impossible = message(RESET, 0, &[]);
            impossible[4..8].fill(0xff);
            client.send(&impossible, &[]).unwrap();
            let socket = attack.lingering();
            client.send(&[0; 8], &[socket.as_fd()]).unwrap();
            drop(client);
        });
    }),
    (
        "sends such a descriptor before its first message, and leaves",
        |attack| {
            for _ in 0..2 {
                let mut client = attack.connect();
                attack.unseen(|attack| {
                    let socket = attack.lingering();
                    client.send(&[0], &[socket.as_fd()]).unwrap();
                    drop(client);
                });
            }
        },
    ),
    (
        "leaves a message unfinished that carries such a descriptor",
        |attack| {
            let mut client = attack.begun();
            attack.unseen(|attack| {
                let socket = attack.lingering();
                let map = message(DMA_MAP, 0, &dma_map(0, 0x1000));
                client.send(&map[..20], &[socket.as_fd()]).unwrap();
            });
            thread::sleep(Duration::from_millis(20));
        },
    ),
    (
        "gives interrupts that the device does not have, and no eventfds",
        |attack| {
            let mut client = attack.begun();
            let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
            let (_reader, pipe) = std::io::pipe().unwrap();
            for index in 0..6u32 {
                for file in [event.as_fd(), pipe.as_fd()] {
                    let fields = [20, 4 | 32, index, 0, 1].map(u32::to_ne_bytes).concat();
                    assert_eq!(client.ask(SET_IRQS, &fields, &[file]).unwrap(), EINVAL);
                }
            }
        },
    ),
    ("locks the socket's folder", |attack| {
        let folder = File::open(attack.bed.0.path()).unwrap();
        flock(&folder, FlockOperation::LockExclusive).unwrap();
        attack.keep(folder);
    }),
    (
        "sends so many descriptors, before its first message, that the server has none left",
        |attack| {
            let memory = memory(0x1000);
            for _ in 0..7 {
                let mut client = attack.connect();
                // Until the server has had enough.
                for _ in 0..8 {
                    if client.send(&[0], &all(&[&memory; MOST_FILES])).is_err() {
                        break;
                    }
                }
                attack.keep(client);
            }
            thread::sleep(Duration::from_millis(50));
        },
    ),
];

/// Maps pages that are not shared. The last one's error number.
fn map_many(client: &mut Raw, count: u64) -> u32 {
    for index in 1..count {
        let bytes = message(DMA_MAP, NO_REPLY, &dma_map(index << 12, 0x1000));
        client.send(&bytes, &[]).unwrap();
    }
    client.ask(DMA_MAP, &dma_map(0, 0x1000), &[]).unwrap()
}
