//! What the target `cuda-wire` reads: each message in turn, descriptions of modules, and records of
//! operations that there may not be.

use fastrand::Rng;
use vgpu_cuda_wire::{FunctionDescription, ModuleDescription, OPERATIONS};

/// Words of fields that every message has enough of.
const WORDS: usize = 8;

/// Makes inputs, and counts those of each message.
pub(crate) struct Maker {
    next: usize,
    counts: Vec<u64>,
    description: Vec<u8>,
}

impl Default for Maker {
    fn default() -> Self {
        let function = FunctionDescription {
            name: "add".into(),
            parameters: vec![(0, 8), (8, 8), (16, 4)],
            ..FunctionDescription::default()
        };
        let module = ModuleDescription {
            functions: vec![function.clone(), function],
            globals: vec![("table".into(), 1 << 40, 64)],
        };
        Self {
            next: 0,
            counts: vec![0; OPERATIONS.len()],
            description: module.encode(),
        }
    }
}

impl Maker {
    /// The message that came least often, and how often.
    pub(crate) fn fewest(&self) -> (&'static str, u64) {
        let counts = OPERATIONS.iter().zip(&self.counts);
        let counts = counts.map(|((_, name), count)| (*name, *count));
        counts.min_by_key(|(_, count)| *count).unwrap()
    }

    pub(crate) fn input(&mut self, n: u64, random: &mut Rng, input: &mut Vec<u8>) {
        match n % 32 {
            0 => self.describe(random, input),
            1 => {
                input.push(1);
                input.extend(random.u16(..0x60).to_le_bytes());
                input.extend(random.u32(..64).to_le_bytes());
                payload(random, input);
            }
            _ => {
                self.next = (self.next + 1) % OPERATIONS.len();
                self.counts[self.next] += 1;
                input.extend([2, self.next as u8]);
                // Of the data, which is as long, or longer than there is.
                let most = if random.u8(..16) == 0 { u16::MAX } else { 32 };
                input.extend(random.u16(..most).to_le_bytes());
                payload(random, input);
                if random.u8(..8) == 0 {
                    input.truncate(random.usize(4..=input.len()));
                }
            }
        }
    }

    /// A description, of which some bytes are others, or are missing.
    fn describe(&self, random: &mut Rng, input: &mut Vec<u8>) {
        input.push(0);
        input.extend(&self.description);
        for _ in 0..random.u8(..4) {
            let at = random.usize(1..input.len());
            input[at] = random.choice([0, 1, 4, 0x7f, 0xff]).unwrap_or(0);
        }
        if random.bool() {
            input.truncate(random.usize(1..=input.len()));
        }
    }
}

/// Fields, small ones for the most part, and 40 bytes of data.
fn payload(random: &mut Rng, input: &mut Vec<u8>) {
    let wild = random.u8(..4) == 0;
    for _ in 0..WORDS {
        let word = match random.u8(..if wild { 6 } else { 4 }) {
            0 => 0,
            1 => random.u64(..300),
            2 => random.u64(..4) | random.u64(..256) << 32,
            3 => u64::from(random.u32(..)),
            4 => u64::MAX - random.u64(..4),
            _ => random.u64(..),
        };
        input.extend(word.to_le_bytes());
    }
    input.extend([random.u8(..); 40]);
}

/// Most of what is made for a message is one: a generator whose inputs were all refused would find
/// nothing.
#[test]
fn messages_have_the_form_of_messages() {
    struct Nothing;
    impl vgpu_cuda_wire::Handler for Nothing {}
    let mut maker = Maker::default();
    let (mut random, mut input) = (Rng::with_seed(3), Vec::new());
    let mut taken = vec![0; OPERATIONS.len()];
    for n in 0..OPERATIONS.len() as u64 * 200 {
        input.clear();
        maker.input(n, &mut random, &mut input);
        if let [2, op, low, high, payload @ ..] = &input[..] {
            let length = u16::from_le_bytes([*low, *high]).into();
            let op = usize::from(*op);
            let handled = vgpu_cuda_wire::dispatch(&mut Nothing, OPERATIONS[op].0, length, payload);
            taken[op] += u32::from(handled.is_ok());
        }
    }
    for ((_, name), taken) in OPERATIONS.iter().zip(taken) {
        assert!(taken > 50, "{name}: {taken} of about 190");
    }
}
