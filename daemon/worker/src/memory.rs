//! Memory that a message names by pieces of files.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use vgpu_abi::link::{Message, Piece};
use vgpu_abi::segment::PIECES_MAX;
use vgpu_window::Window;

/// Maps it. `pieces` is the sealed file that lists them, `files` those that they are in. Nothing of the memory is read.
pub(crate) fn map(message: &Message, pieces: OwnedFd, files: &[OwnedFd]) -> Result<Window, Errno> {
    if message.pieces > PIECES_MAX || message.files as usize != files.len() {
        return Err(Errno::INVAL);
    }
    let listed: Vec<Piece> = vgpu_packet::sealed::read(pieces, message.pieces as usize)?;
    let pieces = listed.iter().map(|piece| match piece.reserved {
        0 => Ok(vgpu_window::Piece {
            file: piece.file as usize,
            offset: piece.offset,
            length: piece.length,
        }),
        _ => Err(Errno::INVAL),
    });
    let pieces: Vec<_> = pieces.collect::<Result<_, _>>()?;
    Window::assemble(files, &pieces, message.length).map_err(|error| match error {
        vgpu_window::Error::System(errno) => errno,
        _ => Errno::INVAL,
    })
}
