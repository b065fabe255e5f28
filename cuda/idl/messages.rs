/// What travels in records. A number is never used again for another message:
/// `operations.txt` remembers all that ever were.
///
/// A message with a result is waited for, even if the result is `()`; one
/// without is not, and its failure is the session's sticky fault. `data` is
/// what follows the other fields, of any length.
pub trait Message {
    /// Begins a session: the host writes what it is to the arena. `base` and
    /// `size` are the addresses that the program keeps free for device memory.
    #[op(0x0001)]
    fn hello(arena: u64, capacity: u64, base: u64, size: u64) -> u64;
    /// All that was sent before is done.
    #[op(0x0002)]
    fn synchronize() -> ();

    /// Writes why the last image was refused to the arena or a region; gives the
    /// text's length, of which no more than `capacity` is written.
    #[op(0x0003)]
    fn refusal(region: u32, offset: u64, capacity: u64) -> u64;

    /// The host waits here until the program has done something itself, such as a callback. Points
    /// have numbers that grow from 1.
    #[op(0x0004)]
    fn hold(point: u64);

    /// Device memory of so many bytes; gives its address.
    #[op(0x0010)]
    fn memory_allocate(size: u64) -> u64;
    /// The end of an allocation.
    #[op(0x0011)]
    fn memory_free(pointer: u64);
    /// Free and total bytes.
    #[op(0x0012)]
    fn memory_info() -> (u64, u64);

    /// Memory of so many bytes that has no address yet; gives its number.
    #[op(0x0014)]
    fn memory_create(size: u64) -> u64;
    /// The end of memory that is mapped nowhere.
    #[op(0x0015)]
    fn memory_destroy(memory: u64) -> ();
    /// Maps memory, all of it, at an address of the upper half of those that the program keeps
    /// free.
    #[op(0x0016)]
    fn memory_map(memory: u64, address: u64) -> ();
    /// The end of a mapping.
    #[op(0x0017)]
    fn memory_unmap(address: u64) -> ();

    /// Bytes for device memory, in the record.
    #[op(0x0020)]
    fn write(destination: u64, stream: u64, data: &[u8]);
    /// Bytes for device memory, from the slice's arena (region 0) or a region.
    #[op(0x0021)]
    fn write_from(destination: u64, stream: u64, region: u32, offset: u64, size: u64);
    /// Bytes of device memory, to the slice's arena (region 0) or a region.
    #[op(0x0022)]
    fn read_into(source: u64, stream: u64, region: u32, offset: u64, size: u64) -> ();
    /// From device memory to device memory.
    #[op(0x0023)]
    fn copy(destination: u64, source: u64, size: u64, stream: u64);
    /// `count` times the lowest `width` bytes (1, 2 or 4) of `value`.
    #[op(0x0024)]
    fn fill(destination: u64, value: u32, width: u8, count: u64, stream: u64);
    /// Up to 112 bytes of device memory, which the answer itself has.
    #[op(0x0025)]
    fn read(source: u64, stream: u64, size: u64) -> [u64; 14];

    /// A stream, by a number that the program chose.
    #[op(0x0030)]
    fn stream_create(stream: u64, flags: u32, priority: i32);
    /// The end of a stream.
    #[op(0x0031)]
    fn stream_destroy(stream: u64);
    /// All that was sent to a stream is done.
    #[op(0x0032)]
    fn stream_synchronize(stream: u64) -> ();
    /// Whether all that was sent to a stream is done: 0 or 1.
    #[op(0x0033)]
    fn stream_query(stream: u64) -> u64;
    /// A stream waits for what an event recorded.
    #[op(0x0034)]
    fn stream_wait(stream: u64, event: u64);

    /// An event, by a number that the program chose.
    #[op(0x0038)]
    fn event_create(event: u64, flags: u32);
    /// The end of an event.
    #[op(0x0039)]
    fn event_destroy(event: u64);
    /// The event stands for what was sent to a stream until now.
    #[op(0x003a)]
    fn event_record(event: u64, stream: u64);
    /// What the event stands for is done.
    #[op(0x003b)]
    fn event_synchronize(event: u64) -> ();
    /// Whether what the event stands for is done: 0 or 1.
    #[op(0x003c)]
    fn event_query(event: u64) -> u64;
    /// Nanoseconds from one event to another.
    #[op(0x003d)]
    fn event_elapsed(start: u64, end: u64) -> u64;

    /// Loads an image that lies in the arena or a region, under a number that
    /// the program chose; gives the length of its description.
    #[op(0x0040)]
    fn module_load(module: u64, region: u32, offset: u64, size: u64) -> u64;
    /// Writes a module's description to the arena or a region.
    #[op(0x0041)]
    fn module_describe(module: u64, region: u32, offset: u64, capacity: u64) -> ();
    /// The end of a module.
    #[op(0x0042)]
    fn module_unload(module: u64);
    /// Runs a module's kernel, by its place in the description; `data` is its
    /// block of parameters.
    #[op(0x0043)]
    fn launch(
        module: u64,
        function: u32,
        grid_x: u32,
        grid_y: u32,
        grid_z: u32,
        block_x: u32,
        block_y: u32,
        block_z: u32,
        shared: u32,
        stream: u64,
        data: &[u8],
    );

    /// Begins a link, by a number that the program chose.
    #[op(0x0048)]
    fn link_create(link: u64);
    /// Adds an image that lies in the arena or a region; `kind` is its
    /// `CUjitInputType`, `data` its name.
    #[op(0x0049)]
    fn link_add(link: u64, kind: u32, region: u32, offset: u64, size: u64, data: &[u8]) -> ();
    /// Links what was added; gives the length of the image.
    #[op(0x004a)]
    fn link_complete(link: u64) -> u64;
    /// Writes a link's image to the arena or a region.
    #[op(0x004b)]
    fn link_image(link: u64, region: u32, offset: u64, capacity: u64) -> ();
    /// The end of a link.
    #[op(0x004c)]
    fn link_destroy(link: u64);
}
