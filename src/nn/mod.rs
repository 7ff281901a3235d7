//! Building blocks and the parameters they are made of.
mod init;
mod module;
mod param;

pub use init::Init;
pub use module::{Module, ModuleExt, ParamField, Params, Role, Visitor, VisitorMut, join};
pub use param::{AnyParam, Param, ParamId};
