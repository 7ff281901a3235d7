//! Files: state dicts (safetensors), arrays for NumPy (npz), writing that is all or nothing, and locks of files and
//! folders.
mod atomic;
mod lock;
mod npz;
mod state_dict;
mod stored;

pub(crate) use atomic::{TEMPORARY, check_folder, open, read_at_most, text, text_if_there};
pub use atomic::{write_atomically, write_atomically_with};
pub(crate) use lock::Lock;
pub use npz::Npz;
pub use state_dict::{Array, load, load_matching, read, save, write};
pub(crate) use state_dict::{read_all_of, read_with, write_with};
pub use stored::stored;
pub(crate) use stored::{own_snapshots, snapshots};
