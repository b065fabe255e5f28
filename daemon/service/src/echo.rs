//! The service that proves a channel ([`vgpu_ring::echo`]): it needs no engine.

use std::sync::atomic::Ordering::Relaxed;

use vgpu_ring::Memory;
use vgpu_ring::echo::{ECHO, FILL, Fill, HASH, Range, WRONG, hash, word};
use vgpu_ring::layout::INLINE_REPLY;
use vgpu_worker::{Context, Fatal, Request, Service};
use zerocopy::FromBytes;

/// Sends payloads back, hashes memory, and fills it.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Service for Echo {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        let answer = match request.header.op {
            ECHO => {
                let payload = request.payload;
                return session.reply(&request, 0, &payload[..payload.len().min(INLINE_REPLY)]);
            }
            HASH => parse(request.payload).and_then(|range| fold(session, &range, None)),
            FILL => parse::<Fill>(request.payload)
                .and_then(|fill| fold(session, &fill.range, Some(fill.seed))),
            _ => None,
        };
        match answer {
            Some(hash) => session.reply(&request, 0, &hash.to_le_bytes()),
            None => session.reply(&request, WRONG, &[]),
        }
    }
}

/// What a payload begins with; the rest is what fills a record up.
fn parse<T: FromBytes>(payload: &[u8]) -> Option<T> {
    Some(T::read_from_prefix(payload).ok()?.0)
}

/// The hash of a range, which is filled first where there is a seed.
fn fold(session: &Context<'_>, range: &Range, seed: Option<u64>) -> Option<u64> {
    let memory = match range.region {
        0 => session.slice.memory().clone(),
        region => session.regions.get(region)?,
    };
    let words = range.words(memory.words().len())?;
    let first = words.start as u64;
    let places = first..;
    let values = memory.words()[words]
        .iter()
        .zip(places)
        .map(|(at, place)| match seed {
            None => at.load(Relaxed),
            Some(seed) => {
                let value = word(seed, place);
                at.store(value, Relaxed);
                value
            }
        });
    Some(hash(values))
}
