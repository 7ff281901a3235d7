//! A test of each pass on a small graph of its own. The programs of whole models are in `tests/all/lowered`.
mod front;
mod fuse;
mod passes;
mod reads;
mod toy;
