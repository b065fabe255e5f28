//! The server against clients: one that keeps to the protocol, of another
//! make, and one that does whatever it can to break it.

mod descriptors;
mod ends;
mod hostile;
mod peer;
mod raw;
mod scratch;
mod slow;
