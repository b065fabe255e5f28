//! What is generated from the description.
#![allow(clippy::all, clippy::uninlined_format_args)]

use crate::record::data;
use crate::{Answer, CUresult, Caller, Class, Client, Malformed};

include!(concat!(env!("OUT_DIR"), "/wire.rs"));
