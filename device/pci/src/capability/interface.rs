//! What a capability is, and the capabilities of a function as a whole.

use std::fmt;

use crate::{Changes, ConfigRegister, DwordWrite};

/// A structure in the capability list.
///
/// To add one: a file here with the type, and a field in the device's own
/// [`CapabilityList`].
pub trait Capability: fmt::Debug + Send {
    /// The Capability ID (PCI 3.0 appendix H).
    fn id(&self) -> u8;

    /// The registers after reset, first to last. The low 16 bits of the first
    /// one (ID and next pointer) are filled in by the config space.
    fn registers(&self) -> Vec<ConfigRegister>;

    /// The guest wrote to the register of this index, counted from the start
    /// of the capability. The register's writable bits are already updated;
    /// what is returned reaches the device.
    fn written(&mut self, register: usize, write: DwordWrite) -> Changes;

    /// What it holds beside its registers, which the config space resets and saves itself; `None` where that is nothing.
    /// Always the same answer.
    fn state(&self) -> Option<&dyn CapabilityState>;

    /// The same, to be changed.
    fn state_mut(&mut self) -> Option<&mut dyn CapabilityState>;
}

/// What a capability holds beside its registers.
pub trait CapabilityState {
    /// Back to its power-on state.
    fn reset(&mut self);

    /// How many bytes of saved state it has: always the same, and at most [`MOST_STATE`].
    fn size(&self) -> usize;

    /// Writes that state to `state`, which has [`Self::size`] bytes.
    fn save(&self, state: &mut [u8]);

    /// Whether these bytes are a state that it can have, here or in an earlier
    /// version of the software. Their number is up to whoever saved them.
    fn accepts(&self, state: &[u8]) -> bool;

    /// Takes over a state that it accepts.
    fn restore(&mut self, state: &[u8]);
}

/// The most bytes of saved state that a capability can have.
pub const MOST_STATE: usize = 0xffff;

/// The capabilities of a function: a type of the device's own, through which
/// it reaches each by its name and type.
///
/// ```
/// use vgpu_pci::capability::{Capability, CapabilityList, Express};
///
/// #[derive(Debug)]
/// struct Capabilities {
///     express: Option<Express>,
/// }
///
/// // Taken apart without `..`: the compiler complains about one that is left out.
/// impl CapabilityList for Capabilities {
///     fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
///         let Self { express } = self;
///         [express.as_ref().map(|it| it as _)].into_iter().flatten()
///     }
///     fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
///         let Self { express } = self;
///         [express.as_mut().map(|it| it as _)].into_iter().flatten()
///     }
/// }
/// ```
pub trait CapabilityList: fmt::Debug {
    /// All that the function has, in the order in which they are linked; the
    /// same ones for as long as it exists.
    fn iter(&self) -> impl Iterator<Item = &dyn Capability>;

    /// The same, to be changed.
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability>;
}
