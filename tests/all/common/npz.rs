//! Reading `.npz` files back.
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// An array as it is stored.
pub struct Array {
    /// NumPy's name of the type of its numbers.
    pub descr: String,
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    pub fn f32s(&self) -> Vec<f32> {
        assert_eq!(self.descr, "<f4");
        self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    pub fn i64s(&self) -> Vec<i64> {
        assert_eq!(self.descr, "<i8");
        self.bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }
}

/// The arrays of a file by name; fails unless every entry is whole.
pub fn read(path: &Path) -> BTreeMap<String, Array> {
    let file = std::fs::read(path).unwrap();
    let archive = rawzip::ZipArchive::from_slice(&file).unwrap();
    let mut arrays = BTreeMap::new();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().unwrap() {
        assert_eq!(entry.compression_method(), rawzip::CompressionMethod::STORE);
        let path = entry.file_path().try_normalize().unwrap();
        let name = path.as_ref().strip_suffix(".npy").unwrap().to_owned();
        let stored = archive.get_entry(entry.wayfinder()).unwrap();
        let mut bytes = Vec::new();
        stored.verifying_reader(stored.data()).read_to_end(&mut bytes).unwrap();
        arrays.insert(name, array(&bytes));
    }
    arrays
}

fn array(file: &[u8]) -> Array {
    let (start, rest) = file.split_at(10);
    assert_eq!(start[..8], *b"\x93NUMPY\x01\x00");
    let (header, bytes) = rest.split_at(usize::from(u16::from_le_bytes([start[8], start[9]])));
    let header = std::str::from_utf8(header).unwrap();
    let between = |from: &str, to: &str| {
        let rest = header.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    assert_eq!(between("'fortran_order': ", ","), "False");
    let sizes = between("'shape': (", ")");
    let shape =
        sizes.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let array = Array { descr: between("'descr': '", "'"), shape, bytes: bytes.to_vec() };
    let size: usize = array.descr[2..].parse().unwrap();
    assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>() * size, "{header}");
    array
}
