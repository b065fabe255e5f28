//! What is generated from the description.
#![allow(clippy::all, clippy::uninlined_format_args)]

use zerocopy::{FromBytes, IntoBytes};

use crate::{Answer, CUresult, Caller, Class, Client, Malformed, data, narrow};

include!(concat!(env!("OUT_DIR"), "/wire.rs"));
