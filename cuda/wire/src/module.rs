//! What is in a module, as the host describes it to the program: what lookups,
//! attributes and launches need.

/// A module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleDescription {
    /// Its kernels.
    pub functions: Vec<FunctionDescription>,
    /// Its variables: name, address, size in bytes.
    pub globals: Vec<(String, u64, u64)>,
}

/// A kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionDescription {
    /// Its name.
    pub name: String,
    /// Its parameters' offsets and sizes in the block of parameters, in bytes.
    pub parameters: Vec<(u32, u32)>,
    /// The length of the block of parameters.
    pub parameter_size: u32,
    /// Shared memory that it declares, in bytes.
    pub shared_size: u32,
    /// Local memory of a thread, in bytes.
    pub local_size: u32,
    /// Registers of a thread.
    pub registers: u32,
    /// The most threads of a block.
    pub max_threads: u32,
    /// The threads that a block has to have in each dimension; zeros are any.
    pub required_threads: [u32; 3],
    /// The PTX version, as 10 times the major number plus the minor one.
    pub ptx_version: u32,
}

impl ModuleDescription {
    /// As bytes: numbers in little-endian, lists and names after their length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.functions.len() as u32);
        for function in &self.functions {
            put_name(&mut bytes, &function.name);
            put(&mut bytes, function.parameters.len() as u32);
            for &(offset, size) in &function.parameters {
                put(&mut bytes, offset);
                put(&mut bytes, size);
            }
            for number in function.numbers() {
                put(&mut bytes, number);
            }
        }
        put(&mut bytes, self.globals.len() as u32);
        for (name, address, size) in &self.globals {
            put_name(&mut bytes, name);
            bytes.extend(address.to_le_bytes());
            bytes.extend(size.to_le_bytes());
        }
        bytes
    }

    /// Of bytes; `None` where they are no description.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut module = Self::default();
        for _ in 0..take(&mut rest)? {
            let name = take_name(&mut rest)?;
            let mut parameters = Vec::new();
            for _ in 0..take(&mut rest)? {
                parameters.push((take(&mut rest)?, take(&mut rest)?));
            }
            let mut numbers = [0; 9];
            for number in &mut numbers {
                *number = take(&mut rest)?;
            }
            let [
                parameter_size,
                shared_size,
                local_size,
                registers,
                max_threads,
                required_x,
                required_y,
                required_z,
                ptx_version,
            ] = numbers;
            module.functions.push(FunctionDescription {
                name,
                parameters,
                parameter_size,
                shared_size,
                local_size,
                registers,
                max_threads,
                required_threads: [required_x, required_y, required_z],
                ptx_version,
            });
        }
        for _ in 0..take(&mut rest)? {
            let name = take_name(&mut rest)?;
            let mut number = || {
                let (first, behind) = rest.split_first_chunk()?;
                rest = behind;
                Some(u64::from_le_bytes(*first))
            };
            module.globals.push((name, number()?, number()?));
        }
        Some(module)
    }
}

impl FunctionDescription {
    const fn numbers(&self) -> [u32; 9] {
        let [required_x, required_y, required_z] = self.required_threads;
        [
            self.parameter_size,
            self.shared_size,
            self.local_size,
            self.registers,
            self.max_threads,
            required_x,
            required_y,
            required_z,
            self.ptx_version,
        ]
    }
}

fn put(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    put(bytes, name.len() as u32);
    bytes.extend(name.as_bytes());
}

fn take(rest: &mut &[u8]) -> Option<u32> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*first))
}

fn take_name(rest: &mut &[u8]) -> Option<String> {
    let length = take(rest)? as usize;
    let (name, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    String::from_utf8(name.to_vec()).ok()
}
