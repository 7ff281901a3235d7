//! The CPU engine: a recorded graph lowered to the cheapest exact instructions, run sequence by sequence.
//!
//! | pass | file |
//! |---|---|
//! | all passes, in their order | `compile` |
//! | which rows does somebody read? | `demand` |
//! | terms, folded products, instructions | `lower` |
//! | gradients only before the loss; sums in place; mixes with frozen values | `passes` |
//! | what is only read comes after what the loss needs, and takes from it | `reads` |
//! | which values and which gradients share a buffer | `buffers` |
//! | two instructions become one | `fuse` |
//! | work on rows of tokens and positions alone comes first; is done once for rows that are alike | `front`, `pairs` |
//! | what depends on weights alone, once a step | `weights` |
//! | the instructions, each with its forward and backward pass and its text | `instr` |
//! | one sequence, forwards and backwards | `exec`, `workspace` |
//! | a batch over threads, summed in a fixed order | `step`, `turns` |
//! | the engine, which holds all of this | `threads` |
//! | a lowered program as text | `text` |
//!
//! `docs/performance.md` tells what each pass is worth and why it is exact.
mod buffers;
mod compile;
mod demand;
mod exec;
mod front;
mod fuse;
mod instr;
mod lower;
mod pairs;
mod passes;
mod program;
mod reads;
mod step;
mod text;
mod threads;
mod turns;
mod weights;
mod workspace;

#[cfg(test)]
mod tests;

pub use threads::CpuEngine;
