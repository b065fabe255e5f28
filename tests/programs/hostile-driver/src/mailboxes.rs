//! Commands that nobody gives, and at times when nobody gives them.

use vgpu_abi::bar0::{
    ACK, COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, DOORBELL, DRIVER, EVENTS, STATE, STATUS,
};
use vgpu_abi::features::{driver, state};
use vgpu_abi::mailbox::{
    self, Add, CHANNEL_CLOSE, CHANNEL_OPEN, CHANNEL_STATE, PAYLOAD, REGION_ADD, REGION_DELETE,
    Region,
};
use vgpu_direct::{Error, HUGE, Registers};
use zerocopy::IntoBytes;

use crate::act::Act;
use crate::outcome::outcome;

const NUMBERS: [u32; 6] = [1, 63, 64, 255, 256, u32::MAX];

pub(crate) const ACTS: &[Act] = &[
    Act {
        name: "channels that there are not",
        expected: &["ABSENT", "PARAMETERS"],
        run: |guest| {
            let bench = guest.bench()?;
            let mailbox = bench.driver.mailbox();
            bench.write(&bench.good());
            let at = bench.directory.addresses()[0];
            let outcomes = NUMBERS.iter().flat_map(|channel| {
                let added = mailbox.add(*channel, at, HUGE as u64);
                let deleted = mailbox.delete(*channel, 1);
                [
                    outcome(&mailbox.close(*channel)),
                    outcome(&added),
                    outcome(&deleted),
                ]
            });
            Ok(outcomes.collect())
        },
    },
    Act {
        name: "regions that there are not, and the slice",
        expected: &["ABSENT", "PARAMETERS"],
        run: |guest| {
            let bench = guest.bench()?;
            let delete =
                |region: &u32| outcome(&bench.driver.mailbox().delete(bench.channel, *region));
            Ok([0].iter().chain(&NUMBERS).map(delete).collect())
        },
    },
    Act {
        name: "a region that is deleted twice, a channel that is closed twice",
        expected: &["ABSENT"],
        run: |guest| {
            let bench = guest.bench()?;
            bench.write(&bench.good());
            let mailbox = bench.driver.mailbox();
            let region = mailbox.add(bench.channel, bench.directory.addresses()[0], HUGE as u64)?;
            mailbox.delete(bench.channel, region)?;
            let twice = outcome(&mailbox.delete(bench.channel, region));
            mailbox.close(bench.channel)?;
            Ok(vec![twice, outcome(&mailbox.close(bench.channel))])
        },
    },
    Act {
        name: "parameters of every wrong length",
        expected: &["PARAMETERS"],
        run: |guest| {
            let bench = guest.bench()?;
            let mailbox = bench.driver.mailbox();
            let sizes = [
                (CHANNEL_OPEN, 24),
                (CHANNEL_CLOSE, 4),
                (CHANNEL_STATE, 4),
                (REGION_ADD, 24),
                (REGION_DELETE, 8),
            ];
            let wrong = sizes.iter().flat_map(|(command, size)| {
                let lengths = (0..=32)
                    .chain([PAYLOAD])
                    .filter(move |length| length != size);
                lengths.map(|length| outcome(&mailbox.call(*command, &vec![0xff; length])))
            });
            Ok(wrong.collect())
        },
    },
    Act {
        name: "parameters outside of the data region",
        expected: &["PARAMETERS"],
        run: |guest| {
            let bench = guest.bench()?;
            let registers = bench.driver.registers();
            let places = [
                (0, 4),
                (DATA.end as u32, 4),
                (DATA.end as u32 - 3, 4),
                (u32::MAX, 4),
                (0x20, u32::MAX),
                (0x20, 993),
            ];
            let outcomes = places.map(|(offset, length)| {
                registers.write(DATA_OFFSET, offset);
                registers.write(DATA_LENGTH, length);
                registers.write(COMMAND, mailbox::ECHO);
                let status = registers.read(STATUS);
                outcome::<()>(&Err(Error::Refused {
                    command: mailbox::ECHO,
                    code: (status >> 16) as u16,
                }))
            });
            Ok(outcomes.to_vec())
        },
    },
    Act {
        name: "commands that there are not",
        expected: &["UNKNOWN"],
        run: |guest| {
            let bench = guest.bench()?;
            let mailbox = bench.driver.mailbox();
            let unknown = [0, 3, 0x12, 0x23, 0x32, 0xffff, u32::MAX];
            Ok(unknown
                .map(|command| outcome(&mailbox.call(command, &[])))
                .to_vec())
        },
    },
    Act {
        name: "commands while another is in work",
        // The first is answered as if there were no others.
        expected: &["done"],
        run: |guest| {
            let bench = guest.bench()?;
            bench.write(&bench.good());
            let mut outcomes = Vec::new();
            for _ in 0..50 {
                let mailbox = bench.driver.mailbox();
                let add = Add {
                    directory: bench.directory.addresses()[0],
                    length: HUGE as u64,
                    channel: bench.channel,
                    reserved: 0,
                };
                let request = mailbox.post(REGION_ADD, add.as_bytes())?;
                for (offset, value) in [
                    (DATA.start, 0),
                    (DATA_LENGTH, 0),
                    (COMMAND, CHANNEL_CLOSE),
                    (COMMAND, REGION_DELETE),
                ] {
                    // Where it is done already, these are the next command, and ours has lost its answer.
                    if bench.driver.registers().read(STATUS) == 0 {
                        bench.driver.registers().write(offset, value);
                    }
                }
                let answer = mailbox.answer(REGION_ADD, request);
                let region = match &answer {
                    Ok(bytes) => bytes
                        .as_slice()
                        .try_into()
                        .map(u32::from_le_bytes)
                        .unwrap_or_default(),
                    // Our own command came too late to be ignored.
                    Err(Error::Refused { .. } | Error::Malformed(_)) => 1,
                    Err(_) => {
                        outcomes.push(outcome(&answer));
                        continue;
                    }
                };
                let region = Region {
                    channel: bench.channel,
                    region,
                };
                outcomes.push(outcome(&mailbox.call(REGION_DELETE, region.as_bytes())));
            }
            Ok(outcomes)
        },
    },
    Act {
        name: "a flood of commands, none waited for",
        expected: &["done"],
        run: |guest| {
            let bench = guest.bench()?;
            let registers = bench.driver.registers();
            let commands = [
                mailbox::ECHO,
                mailbox::INFO,
                mailbox::START,
                CHANNEL_OPEN,
                CHANNEL_CLOSE,
                CHANNEL_STATE,
                REGION_ADD,
                0x77,
            ];
            for _ in 0..5000 {
                registers.write(DATA.start + fastrand::u64(..16) * 4, fastrand::u32(..));
                registers.write(DATA_LENGTH, fastrand::u32(..32));
                registers.write(COMMAND, commands[fastrand::usize(..commands.len())]);
            }
            drop(bench);
            let driver = guest.driver()?;
            Ok(vec![outcome(&driver.mailbox().info())])
        },
    },
    Act {
        name: "steps of the driver that there are not",
        expected: &["ignored"],
        run: |guest| {
            drop(guest.driver()?);
            let steps = [driver::SETTLED, driver::RUN, 4, 0x100, u32::MAX].map(|step| {
                guest.device.write(DRIVER, step);
                guest.device.read(DRIVER) == driver::RESET
            });
            Ok(steps
                .map(|ignored| if ignored { "ignored" } else { "taken" }.to_owned())
                .to_vec())
        },
    },
    Act {
        name: "features that are not offered",
        expected: &["reset"],
        run: |guest| {
            drop(guest.driver()?);
            let outcomes = [1 << 1, 1 << 4, 1 << 31, u32::MAX].map(|bits| {
                for (register, value) in [
                    (DRIVER, driver::PRESENT),
                    (ACK, bits),
                    (DRIVER, driver::SETTLED),
                ] {
                    guest.device.write(register, value);
                }
                let now = guest.device.read(DRIVER);
                guest.device.write(DRIVER, driver::RESET);
                if now == driver::RESET {
                    "reset".to_owned()
                } else {
                    format!("taken as {now}")
                }
            });
            Ok(outcomes.to_vec())
        },
    },
    Act {
        name: "registers that are read-only",
        expected: &["ignored"],
        run: |guest| {
            let bench = guest.bench()?;
            let registers = bench.driver.registers();
            // From MAGIC to EVENTS, but for what a driver writes.
            let offsets = (0x400..=EVENTS)
                .step_by(4)
                .filter(|it| !(ACK..STATE).contains(it));
            let outcomes = offsets.map(|offset| {
                let before = registers.read(offset);
                registers.write(offset, !before);
                let same = registers.read(offset) == before;
                if same {
                    "ignored".to_owned()
                } else {
                    format!("{offset:#x} was written")
                }
            });
            Ok(outcomes.collect())
        },
    },
    Act {
        name: "doorbells of all channels, most of them closed",
        expected: &["ready"],
        run: |guest| {
            let bench = guest.bench()?;
            let registers = bench.driver.registers();
            for _ in 0..20 {
                (0..256).for_each(|channel| registers.write(DOORBELL + channel * 4, u32::MAX));
            }
            let ready = registers.read(STATE) == state::READY;
            Ok(vec![if ready { "ready" } else { "not ready" }.to_owned()])
        },
    },
];
