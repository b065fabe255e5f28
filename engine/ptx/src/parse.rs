//! From text to a module.

use crate::error::Error;
use crate::module::Module;
use crate::parser::Parser;

/// Reads one PTX module, or several that were linked: each begins with
/// `.version`, and sees of the others what is `.visible`, `.weak` or `.common`.
///
/// # Errors
///
/// Text that is no PTX, names what nothing declared, or passes a limit; with
/// the line and the column.
///
/// ```
/// let module = vgpu_ptx::parse(
///     ".version 7.0\n.target sm_70\n.address_size 64\n\
///      .visible .entry f(.param .u32 n) { .reg .u32 %r<2>; ld.param.u32 %r1, [n]; ret; }",
/// )?;
/// assert_eq!(module.functions[0].name, "f");
/// assert_eq!(module.functions[0].instructions[0].form(), "ld.param.u32");
/// # Ok::<(), vgpu_ptx::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Module<'_>, Error> {
    Parser::new(text)?.module()
}
