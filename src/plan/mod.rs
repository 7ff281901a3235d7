//! The CPU engine: a recorded graph lowered to the cheapest exact instructions, run sequence by sequence.
//!
//! | pass | file |
//! |---|---|
//! | which rows does somebody read? | `demand` |
//! | terms, folded products, instructions | `lower` |
//! | gradients only before the loss; sums in place | `passes` |
//! | what depends on weights alone, once a step | `weights` |
//! | one sequence, forwards and backwards | `exec`, `affine`, `attention`, `scoring`, `tables`, `rowwise` |
//! | a batch over threads, summed in a fixed order | `threads` |
//!
//! `docs/performance.md` tells what each pass is worth and why it is exact.
mod affine;
mod attention;
mod demand;
mod exec;
mod lower;
mod passes;
mod program;
mod rowwise;
mod scoring;
mod tables;
mod threads;
mod weights;
mod workspace;

pub use threads::CpuEngine;
