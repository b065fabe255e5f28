//! A device with one module, for tests.
#![allow(dead_code)]

pub(crate) mod golden;
pub(crate) mod opencl;
pub(crate) mod oracle;
pub(crate) mod places;
pub(crate) mod reference;
pub(crate) mod tinygrad;

use std::sync::Arc;

use vgpu_device_memory::Memory;
use vgpu_simt::{Executor, Launch, LaunchError, Program, Statistics};

pub(crate) struct Device {
    pub(crate) memory: Memory,
    pub(crate) program: Arc<Program>,
    executor: Executor,
    recorder: golden::Recorder,
}

impl Device {
    pub(crate) fn new(text: &str) -> Self {
        Self::with(text, 1, 50_000_000)
    }

    pub(crate) fn with(text: &str, threads: usize, instructions_max: u64) -> Self {
        let mut memory = Memory::new(1 << 32, 1 << 40, 1 << 26);
        let module = vgpu_ptx::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let program = Program::load(&module, &mut memory);
        let program = program.unwrap_or_else(|error| panic!("{error}\n{text}"));
        Self {
            memory,
            program: Arc::new(program),
            executor: Executor::new(threads, instructions_max),
            recorder: golden::Recorder::new(text),
        }
    }

    /// One that looks for races.
    pub(crate) fn with_race_check(text: &str) -> Self {
        let device = Self::new(text);
        let program = Arc::into_inner(device.program).expect("nobody else has it");
        Self {
            program: Arc::new(program.with_race_check()),
            ..device
        }
    }

    /// Says what the launches are about: see [`golden`].
    pub(crate) fn about(&mut self, what: &str) {
        self.recorder.about(what);
    }

    pub(crate) fn buffer(&mut self, bytes: &[u8]) -> u64 {
        let address = self.memory.alloc(bytes.len().max(1) as u64).expect("room");
        self.memory.write(address, bytes).expect("written");
        self.recorder.buffer(address, bytes.len());
        address
    }

    pub(crate) fn launch(
        &mut self,
        kernel: &str,
        blocks: u32,
        threads: u32,
        parameters: &[u8],
    ) -> Result<Statistics, LaunchError> {
        self.shaped(kernel, [blocks, 1, 1], [threads, 1, 1], 0, parameters)
    }

    pub(crate) fn shaped(
        &mut self,
        kernel: &str,
        blocks: [u32; 3],
        threads: [u32; 3],
        shared: u32,
        parameters: &[u8],
    ) -> Result<Statistics, LaunchError> {
        let launch = Launch {
            kernel,
            blocks,
            threads,
            shared,
            parameters,
        };
        let before = self.recorder.before(&self.memory);
        let done = self
            .executor
            .launch(&self.program, &self.memory.view(), &launch)?;
        if let Some(before) = before {
            self.recorder.record(&launch, &before, &self.memory);
        }
        Ok(done)
    }

    /// What the last launch printed.
    pub(crate) fn printed(&mut self) -> Vec<u8> {
        self.executor.take_printed()
    }

    pub(crate) fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(address, &mut bytes).expect("read");
        bytes
    }

    pub(crate) fn words(&self, address: u64, count: usize) -> Vec<u32> {
        let bytes = self.bytes(address, count * 4);
        let word = |chunk: &[u8]| u32::from_le_bytes(chunk.try_into().expect("four"));
        bytes.chunks_exact(4).map(word).collect()
    }
}

pub(crate) fn bytes_of<const N: usize, T>(values: &[T], f: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(f).collect()
}

/// Bits that look random, the same in each run. Source: Vigna, splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Executes one instruction for each row of `rows`: `form d, a, b, c;`, all
/// operands in registers of the given types, `pred` for a result that is 0 or 1.
pub(crate) fn run(form: &str, result: &str, sources: &[&str], rows: &[Vec<u64>]) -> Vec<u64> {
    let width = sources.len();
    let mut declared = String::new();
    let mut loads = String::new();
    let mut names = Vec::new();
    for (index, ty) in sources.iter().enumerate() {
        declared += &format!(
            ".reg .{} %s{index};\n",
            if *ty == "pred" { "pred" } else { ty }
        );
        let offset = index * 8;
        if *ty == "pred" {
            loads += &format!("ld.global.u32 %w, [%in+{offset}]; setp.ne.u32 %s{index}, %w, 0;\n");
        } else {
            let bits = ty.trim_start_matches(|c: char| !c.is_ascii_digit());
            loads += &format!("ld.global.b{bits} %s{index}, [%in+{offset}];\n");
        }
        names.push(format!("%s{index}"));
    }
    let operands = names.join(", ");
    let (store, result) = if result == "pred" {
        (
            "selp.u32 %w, 1, 0, %d; st.global.u32 [%out], %w;".to_string(),
            "pred",
        )
    } else {
        let bits = result.trim_start_matches(|c: char| !c.is_ascii_digit());
        (format!("st.global.b{bits} [%out], %d;"), result)
    };
    let step = width * 8;
    let text = format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n
        .visible .entry test(.param .u64 in, .param .u64 out, .param .u32 n) {{
        .reg .b64 %in, %out, %o; .reg .b32 %i, %w, %n; .reg .pred %p; .reg .{result} %d;
        {declared}
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; ld.param.u32 %n, [n];
        mov.u32 %i, %ctaid.x; mov.u32 %w, %ntid.x; mul.lo.u32 %i, %i, %w;
        mov.u32 %w, %tid.x; add.u32 %i, %i, %w;
        setp.ge.u32 %p, %i, %n; @%p exit;
        mul.wide.u32 %o, %i, {step}; add.u64 %in, %in, %o;
        mul.wide.u32 %o, %i, 8; add.u64 %out, %out, %o;
        {loads}
        {form} %d, {operands};
        {store} ret; }}"
    );
    let mut device = Device::new(&text);
    device.about(form);
    let input: Vec<u64> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    let from = device.buffer(&bytes_of(&input, |v| v.to_le_bytes()));
    let to = device.buffer(&vec![0; rows.len() * 8]);
    let mut parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    parameters.extend((rows.len() as u32).to_le_bytes());
    let blocks = (rows.len() as u32).div_ceil(256);
    device
        .launch("test", blocks, 256, &parameters)
        .unwrap_or_else(|e| panic!("{form}: {e}"));
    let out = device.bytes(to, rows.len() * 8);
    let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("eight"));
    out.chunks_exact(8).map(word).collect()
}

/// Every combination of `values`, `width` at a time.
pub(crate) fn combinations(values: &[u64], width: usize) -> Vec<Vec<u64>> {
    (0..width).fold(vec![Vec::new()], |rows, _| {
        let longer = |row: &Vec<u64>| {
            let row = row.clone();
            values
                .iter()
                .map(move |v| [row.as_slice(), &[*v]].concat())
                .collect::<Vec<_>>()
        };
        rows.iter().flat_map(longer).collect()
    })
}
