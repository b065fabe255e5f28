//! The launches of `tests/corpus/tinygrad`.

use super::Device;

const CASES: &str = include_str!("../../../../tests/corpus/tinygrad/cases.txt");

/// One launch, with what NumPy gives.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) blocks: [u32; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) shared: u32,
    /// Of each buffer: the parameter that it is, its length, and how it begins.
    buffers: Vec<(usize, usize, Vec<u8>)>,
    pub(crate) result: Expected,
}

/// What the result has to be.
#[derive(Default)]
pub(crate) struct Expected {
    parameter: usize,
    pub(crate) ty: String,
    pub(crate) tolerance: f64,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn cases() -> Vec<Case> {
    let mut lines = CASES.lines().peekable();
    let mut cases = Vec::new();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().expect("a number");
        let mut case = Case {
            name: words[1].into(),
            kernel: words[3].into(),
            blocks: [number(5), number(6), number(7)],
            threads: [number(9), number(10), number(11)],
            shared: number(13),
            buffers: Vec::new(),
            result: Expected::default(),
        };
        while let Some(line) = lines.next_if(|line| !line.starts_with("case")) {
            let words: Vec<&str> = line.split(' ').collect();
            let parameter = words[1].parse().expect("an offset");
            let (length, bytes) = match words[0] {
                "result" => (words[3], Vec::new()),
                _ => (words[2], hexadecimal(words[3])),
            };
            case.buffers
                .push((parameter, length.parse().expect("a length"), bytes));
            if words[0] == "result" {
                case.result = Expected {
                    parameter,
                    ty: words[2].into(),
                    tolerance: words[4].parse().expect("a tolerance"),
                    bytes: hexadecimal(words[5]),
                };
            }
        }
        cases.push(case);
    }
    cases
}

impl Case {
    /// A device with the kernel, its parameters, and where the result will be.
    pub(crate) fn device(&self) -> (Device, Vec<u8>, u64) {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/tinygrad");
        let text = std::fs::read_to_string(format!("{root}/{}.ptx", self.name));
        let mut device = Device::with(&text.expect("a file of the corpus"), 1, u64::MAX);
        let size = device.program.kernels()[0].parameter_size as usize;
        let mut parameters = vec![0; size];
        let mut result = 0;
        for (offset, length, bytes) in &self.buffers {
            let buffer = device.buffer(&vec![0xee; *length]);
            device.memory.write(buffer, bytes).expect("fits");
            parameters[*offset..offset + 8].copy_from_slice(&buffer.to_le_bytes());
            if *offset == self.result.parameter {
                result = buffer;
            }
        }
        (device, parameters, result)
    }
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let byte = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("a byte");
    (0..text.len()).step_by(2).map(byte).collect()
}
