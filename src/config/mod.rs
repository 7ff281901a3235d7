//! What `#[derive(Config)]` needs at run time: schema, override grammar, errors.
