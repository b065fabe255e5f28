//! Messages survive the way; what is none is refused; names and numbers are
//! those of cudarc.

use std::cell::RefCell;

use cudarc::driver::sys;
use proptest::prelude::*;
use vgpu_cuda_wire::message::{
    EventCreate, Fill, Launch, LinkAdd, MemoryAllocate, Read, StreamCreate, Write,
};
use vgpu_cuda_wire::*;

fn payload(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Carries messages to a handler in the same process.
struct Wire<H>(RefCell<H>);

impl<H: Handler> Wire<H> {
    fn answer(&self, op: u16, message: &[u64], bytes: &[u8]) -> Result<Answer, CUresult> {
        let mut payload = [&payload(message), bytes].concat();
        payload.resize(payload.len().next_multiple_of(16), 0);
        let length = bytes.len() as u32;
        let answer = dispatch(&mut *self.0.borrow_mut(), op, length, &payload).unwrap();
        match answer.status {
            CUresult::CUDA_SUCCESS => Ok(answer),
            status => Err(status),
        }
    }
}

impl<H: Handler> Caller for &Wire<H> {
    type Error = CUresult;

    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        bytes: &[u8],
    ) -> Result<(), CUresult> {
        self.answer(op, message, bytes)
            .map(|answer| assert!(!answer.awaited))
    }

    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        bytes: &[u8],
    ) -> Result<[u64; M], CUresult> {
        self.answer(op, message, bytes).map(|answer| {
            assert!(answer.awaited);
            let (stated, rest) = answer.bytes().as_chunks();
            assert!(rest.is_empty() && stated.len() <= M);
            let mut words = [0; M];
            for (word, bytes) in words.iter_mut().zip(stated) {
                *word = u64::from_le_bytes(*bytes);
            }
            words
        })
    }
}

#[derive(Default)]
struct Recorder(Vec<String>);

impl Handler for Recorder {
    fn memory_info(&mut self) -> Result<(u64, u64), CUresult> {
        Ok((u64::MAX, 7))
    }

    fn write(&mut self, destination: u64, stream: u64, data: &[u8]) -> Result<(), CUresult> {
        self.0.push(format!("{destination:#x} {stream} {data:?}"));
        Ok(())
    }

    fn fill(
        &mut self,
        destination: u64,
        value: u32,
        width: u8,
        count: u64,
        stream: u64,
    ) -> Result<(), CUresult> {
        self.0
            .push(format!("{destination} {value} {width} {count} {stream}"));
        Ok(())
    }

    fn stream_create(&mut self, stream: u64, flags: u32, priority: i32) -> Result<(), CUresult> {
        self.0.push(format!("{stream} {flags} {priority}"));
        Ok(())
    }
}

#[test]
fn messages_arrive_as_sent() {
    let wire = Wire(RefCell::new(Recorder::default()));
    let client = Client(&wire);
    assert_eq!(client.memory_info(), Ok((u64::MAX, 7)));
    client.write(u64::MAX, 3, b"odd").unwrap();
    client.fill(1, u32::MAX, 4, 1 << 40, 5).unwrap();
    client.stream_create(9, 1, -5).unwrap();
    let unsupported = client.event_query(4);
    assert_eq!(unsupported, Err(CUresult::CUDA_ERROR_NOT_SUPPORTED));
    let expected = [
        "0xffffffffffffffff 3 [111, 100, 100]",
        "1 4294967295 4 1099511627776 5",
        "9 1 -5",
    ];
    assert_eq!(wire.0.into_inner().0, expected);
}

/// Memory of which so many bytes are not 0.
struct Zeros(usize);

impl Handler for Zeros {
    fn read(&mut self, _: u64, _: u64, _: u64) -> Result<Words, CUresult> {
        Ok(std::array::from_fn(|n| u64::from(n < self.0)))
    }
}

#[test]
fn zeros_at_an_answers_end_are_not_carried() {
    for ones in [0, 1, 8, 14] {
        let wire = Wire(RefCell::new(Zeros(ones)));
        let message = [0; 3];
        let answer = wire.answer(Read::OP, &message, &[]).unwrap();
        assert_eq!(answer.bytes(), payload(&vec![1; ones]));
        let words = Client(&wire).read(0, 0, 112).unwrap();
        assert_eq!(words, std::array::from_fn(|n| u64::from(n < ones)));
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let mut nothing = Recorder::default();
    let mut refused = |op, length, words: &[u64]| {
        dispatch(&mut nothing, op, length, &payload(words)).unwrap_err()
    };
    assert_eq!(refused(0x7777, 0, &[]), Malformed::Operation(0x7777));
    assert_eq!(refused(0, 0, &[]), Malformed::Operation(0));
    assert_eq!(
        refused(MemoryAllocate::OP, 0, &[]),
        Malformed::Short(MemoryAllocate::OP)
    );
    // A field that has its word to itself.
    let op = EventCreate::OP;
    assert_eq!(
        refused(op, 0, &[5, 1 << 32]),
        Malformed::Range { op, value: 1 << 32 }
    );
    // One that shares it.
    let op = Fill::OP;
    assert_eq!(
        refused(op, 0, &[0, 1 | 256 << 32, 1, 0]),
        Malformed::Range { op, value: 256 }
    );
    for length in [9, u32::MAX] {
        assert_eq!(
            refused(Write::OP, length, &[0, 0, 0]),
            Malformed::Short(Write::OP)
        );
    }
}

/// Both sides have to agree on it: what changes it changes `SESSION_ABI`.
#[test]
fn fields_that_are_narrower_than_a_word_share_one() {
    let launch = Launch {
        module: u64::MAX,
        function: 1,
        grid_x: 2,
        grid_y: 3,
        grid_z: 4,
        block_x: 5,
        block_y: 6,
        block_z: 7,
        shared: u32::MAX,
        stream: 8,
    };
    let words = [
        u64::MAX,
        1 | 2 << 32,
        3 | 4 << 32,
        5 | 6 << 32,
        7 | u64::from(u32::MAX) << 32,
        8,
    ];
    assert_eq!(launch.encode(), words);
    let sent = [payload(&words), b"data".to_vec()].concat();
    assert_eq!(Launch::decode(&sent), Ok((launch, &b"data"[..])));
    let link = LinkAdd {
        link: 1,
        kind: 2,
        region: 3,
        offset: 4,
        size: 5,
    };
    assert_eq!(link.encode(), [1, 2 | 3 << 32, 4, 5]);
    let stream = StreamCreate {
        stream: 1,
        flags: 2,
        priority: -1,
    };
    assert_eq!(stream.encode(), [1, 2 | u64::from(u32::MAX) << 32]);
    assert_eq!(EventCreate { event: 1, flags: 2 }.encode(), [1, 2]);
}

#[test]
fn a_description_survives_and_a_cut_one_is_refused() {
    let function = FunctionDescription {
        name: "add".into(),
        parameters: vec![(0, 8), (8, 4)],
        parameter_size: 12,
        shared_size: 1,
        local_size: 2,
        registers: 3,
        max_threads: 4,
        required_threads: [4, 1, 1],
        ptx_version: 78,
    };
    let module = ModuleDescription {
        functions: vec![
            function.clone(),
            FunctionDescription {
                name: String::new(),
                ..function
            },
        ],
        globals: vec![("table".into(), 1 << 40, 64)],
    };
    let bytes = module.encode();
    assert_eq!(ModuleDescription::decode(&bytes), Some(module));
    for length in 0..bytes.len() {
        assert_eq!(ModuleDescription::decode(&bytes[..length]), None);
    }
    let many = [u32::MAX, 0].map(u32::to_le_bytes).concat();
    assert_eq!(ModuleDescription::decode(&many), None);
}

#[test]
fn a_trace_names_fields() {
    let message = payload(&[5, 6 | 7 << 32]);
    let line = describe(StreamCreate::OP, 0, &message).unwrap();
    assert_eq!(line, "stream_create(stream=5, flags=6, priority=7)");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        op in 0_u16..0x50,
        length in prop_oneof![0..200_u32, any::<u32>()],
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        fuzz(op, length, &payload);
        let zeros = vec![0; payload.len()];
        fuzz(op, length, &zeros);
    }
}

#[test]
fn errors_have_names_and_texts() {
    let error = CUresult::CUDA_ERROR_ILLEGAL_ADDRESS;
    assert_eq!(error.0, sys::CUresult::CUDA_ERROR_ILLEGAL_ADDRESS as u32);
    assert_eq!(error.name(), Some(c"CUDA_ERROR_ILLEGAL_ADDRESS"));
    assert_eq!(error.text(), Some(c"illegal address"));
    assert_eq!(CUresult(12345).name(), None);
}

#[test]
fn types_are_those_of_cudarc() {
    macro_rules! same {
        ($($name:ident),*) => {
            $(assert_eq!(
                (size_of::<$name>(), align_of::<$name>()),
                (size_of::<sys::$name>(), align_of::<sys::$name>()),
                stringify!($name)
            );)*
        };
    }
    same!(
        CUresult,
        CUdevice,
        CUdeviceptr,
        CUcontext,
        CUstream,
        CUevent
    );
    same!(
        CUdevice_attribute,
        CUpointer_attribute,
        CUstreamCaptureStatus
    );
    same!(CUdriverProcAddressQueryResult, cuuint64_t, CUuuid);
    same!(
        CUmodule,
        CUlibrary,
        CUfunction,
        CUkernel,
        CUgraph,
        CUgraphNode
    );
    same!(
        CUgraphExec,
        CUfunction_attribute,
        CUjit_option,
        CUlibraryOption
    );
    same!(CUlaunchConfig);
    let node = size_of::<CUDA_KERNEL_NODE_PARAMS>();
    assert_eq!(node, size_of::<sys::CUDA_KERNEL_NODE_PARAMS_v1>());
    assert_eq!(
        std::mem::offset_of!(CUDA_KERNEL_NODE_PARAMS, extra),
        std::mem::offset_of!(sys::CUDA_KERNEL_NODE_PARAMS_v2, extra)
    );
    assert_eq!(
        std::mem::offset_of!(CUlaunchConfig, stream),
        std::mem::offset_of!(sys::CUlaunchConfig, hStream)
    );
}
