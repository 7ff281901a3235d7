//! Numeric kernels of the CPU engine.
