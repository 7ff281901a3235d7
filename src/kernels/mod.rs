//! Numeric kernels of the CPU engine: safe functions on slices and matrix views, one thread each.
//!
//! Every kernel is generic over [`Element`] (`f32`, `f64`). One source is compiled for three instruction sets, and the best one
//! of this machine is chosen at run time ([`Level`]); in `f64`, only products are, and all else is portable code. Kernels check
//! the sizes of their arguments once a call and panic when these do not fit, which is an error of the caller.
//!
//! | file | kernels |
//! |---|---|
//! | `gemm` | matrix products |
//! | `softmax`, `relu`, `sigmoid` | normalisations of attention, and the ReLU of a feed-forward layer |
//! | `norm` | layer norm |
//! | `cross_entropy` | loss, its gradient, `argmax` |
//! | `gate` | the gate of a SwiGLU layer |
//! | `elementwise`, `transpose`, `rotary` | what the name says |
//! | `gather`, `table` | lookups, and attention scores between sums of lookups |
//!
//! ```
//! use ihead::internals::kernels::{gemm, softmax_row, Beta, View, ViewMut};
//!
//! let (queries, keys) = ([1.0_f32, 0.0, 0.0, 1.0], [1.0_f32, 2.0, 3.0, 4.0]); // [seq, dim]
//! let mut scores = [0.0_f32; 4]; // [seq, seq]
//! let q = View::new(&queries, 2, 2, 2);
//! let k = View::new(&keys, 2, 2, 2);
//! gemm(ViewMut::new(&mut scores, 2, 2, 2), Beta::Zero, 1.0, q, k.t());
//! assert_eq!(scores, [1.0, 3.0, 2.0, 4.0]);
//! for (r, row) in scores.chunks_exact_mut(2).enumerate() {
//!     softmax_row(row, r + 1, 1.0); // causal: row r sees keys 0..=r
//! }
//! assert_eq!(scores[..2], [1.0, 0.0]);
//! ```

mod buffer;
mod cross_entropy;
mod element;
mod elementwise;
mod gate;
mod gather;
mod gemm;
pub(crate) mod lanes;
mod level;
mod norm;
mod raw;
mod relu;
mod rotary;
mod sigmoid;
mod softmax;
mod table;
mod transpose;
mod view;

pub use buffer::Buffer;
pub use cross_entropy::{
    argmax, argmax_of_numbers, cross_entropy_distribution_row_grad, cross_entropy_row, cross_entropy_row_grad,
};
pub use element::Element;
pub use elementwise::{add_into, add3, axpy, clear, dot, drain_into, mul, mul_add, scale};
pub use gate::{silu_gate_row, silu_gate_row_back};
pub use gather::{Index, gather_rows, scatter_rows_add};
pub use gemm::{Beta, gemm};
pub use level::{Level, with_level};
pub use norm::{norm_row, norm_row_back};
pub use relu::{relu, relu_back, relu_back_in_place, relu_in_place, relu_row, relu_row_back};
pub use rotary::{rotate_pairs, rotate_pairs_back};
pub use sigmoid::{sigmoid_row, sigmoid_row_back};
pub use softmax::{softmax_off_by_one_row, softmax_row, softmax_row_back, softmax_rows, softmax_rows_back};
pub use table::{TablePattern, table_scatter_block, table_scores_block};
pub use transpose::transpose;
pub use view::{View, ViewMut, padded};
