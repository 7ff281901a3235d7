//! Building blocks and the parameters they are made of.
