//! Files that other programs read: by the real programs, where `IHEAD_PYTHON` has them. PyTorch, of several gigabytes, is driven by
//! hand: `tests/python/torch_interchange.py`.
use super::Place;
use crate::settings::{python, script};

const LOGGED: [&str; 3] = ["max_iters=40", "tensorboard=true", "optim_args.use_sgd=false"];

#[test]
fn numpy_jax_pandas_and_tensorboard_read_what_a_run_has_written() {
    let place = Place::new();
    let heads = std::path::Path::new("2");
    place.done("ihead_full", &[&LOGGED[..], &["model_args.n_heads=2"]].concat());
    if let Some(python) = python() {
        let said = script(&python, "read_run.py", &[&place.path("run"), heads]);
        assert_eq!(said, "25 tensors, 5 arrays, 20 records, 13 tags: equal\n");
    }
    // continued, the events go on without a gap or a repetition
    place.done("ihead_full", &["max_iters=50", "resume=true", "model_args.n_heads=2", LOGGED[1], LOGGED[2]]);
    if let Some(python) = python() {
        let said = script(&python, "read_run.py", &[&place.path("run"), heads]);
        assert_eq!(said, "25 tensors, 5 arrays, 25 records, 13 tags: equal\n");
    }
}

#[test]
fn events_are_framed_records_with_their_checksums() {
    let place = Place::new();
    place.done("ihead_basic", &LOGGED);
    let path = place.path("run/events.out.tfevents.0000000000.ihead");
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut records) = (&bytes[..], 0);
    let masked = |bytes: &[u8]| checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    while !rest.is_empty() {
        let (head, behind) = rest.split_at(12);
        assert_eq!(masked(&head[..8]), head[8..]);
        let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
        let (data, behind) = behind.split_at(length);
        assert_eq!(masked(data), behind[..4]);
        (rest, records) = (&behind[4..], records + 1);
    }
    // one says the file's version, the others are the evaluations
    assert_eq!(records, 1 + place.records().lines().count());
}

/// CRC-32C, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
