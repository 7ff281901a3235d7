//! The derives of ihead. Each lives in a folder of its own: syntax, attributes, validation, expansion.
