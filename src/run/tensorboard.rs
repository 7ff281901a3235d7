//! Event files of TensorBoard, which its own program reads.
//!
//! A file is a sequence of records `length u64, masked crc32c of it, data, masked crc32c of the data` (little endian). The data are
//! a protocol buffer `Event { wall_time: double = 1, step: int64 = 2, file_version: string = 3, summary: Summary = 5 }`, a
//! summary's values are `{ tag: string = 1, simple_value: float = 2 }`.
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::probe::Measurements;

use super::appended::Appended;

/// The file's name; the number is where TensorBoard expects a time. It is the same in each part of a run that is resumed.
const NAME: &str = "events.out.tfevents.0000000000.ihead";

/// An event file.
#[derive(Debug)]
pub(super) struct Events(Appended);

impl Events {
    /// A new file in a folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(dir: &Path) -> Result<Events> {
        let mut file = Appended::create(dir.join(NAME))?;
        let mut event = header(0);
        bytes(&mut event, 3, b"brain.Event:2");
        file.add(&framed(&event))?;
        Ok(Events(file))
    }

    /// The first `len` bytes of the file in a folder, or a new file for `len = 0`.
    ///
    /// # Errors
    /// If it cannot be written, or is shorter.
    pub fn reopen(dir: &Path, len: u64) -> Result<Events> {
        if len == 0 { Events::create(dir) } else { Appended::reopen(dir.join(NAME), len).map(Events) }
    }

    /// Adds the numbers of an evaluation.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn add(&mut self, iteration: usize, record: &Measurements) -> Result<()> {
        let mut summary = Vec::new();
        for entry in record.entries() {
            if let Some(number) = entry.value.number() {
                let mut value = Vec::new();
                bytes(&mut value, 1, entry.name.as_bytes());
                value.push(2 << 3 | 5);
                value.extend((number as f32).to_le_bytes());
                bytes(&mut summary, 1, &value);
            }
        }
        let mut event = header(iteration);
        bytes(&mut event, 5, &summary);
        self.0.add(&framed(&event))
    }

    /// Bytes written.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// The same file, whose folder is now this one.
    pub fn moved_to(self, dir: &Path) -> Events {
        Events(self.0.moved_to(dir))
    }
}

/// The time and the step of an event.
fn header(iteration: usize) -> Vec<u8> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut event = vec![1 << 3 | 1];
    event.extend(time.to_le_bytes());
    event.push(2 << 3);
    varint(&mut event, iteration as u64);
    event
}

/// Field `number`, of bytes.
fn bytes(into: &mut Vec<u8>, number: u8, content: &[u8]) {
    into.push(number << 3 | 2);
    varint(into, content.len() as u64);
    into.extend(content);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A record of the file.
fn framed(data: &[u8]) -> Vec<u8> {
    let masked =
        |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}
