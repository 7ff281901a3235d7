//! Storage that starts at a cache line.

use std::ops::{Deref, DerefMut};

use super::Element;

const LINE: usize = 64;

/// Growable storage of `E` whose first element lies at a 64-byte boundary.
///
/// ```
/// let mut buffer = ihead::internals::kernels::Buffer::<f32>::zeros(100);
/// assert_eq!(buffer.as_ptr() as usize % 64, 0);
/// buffer.resize(1000);
/// assert_eq!((buffer.len(), buffer[999]), (1000, 0.0));
/// ```
#[derive(Debug, Default)]
pub struct Buffer<E> {
    storage: Vec<E>,
    start: usize,
    len: usize,
}

impl<E: Element> Buffer<E> {
    /// No elements, no allocation.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let spare = LINE / size_of::<E>() - 1;
        let storage = vec![E::zero(); len + spare];
        let start = (storage.as_ptr() as usize).wrapping_neg() % LINE / size_of::<E>();
        Self { storage, start, len }
    }

    /// Makes the length `len`: keeps the common prefix; elements that were not there before are zero.
    pub fn resize(&mut self, len: usize) {
        if self.start + len <= self.storage.len() {
            if len > self.len {
                self.storage[self.start + self.len..self.start + len].fill(E::zero());
            }
            self.len = len;
        } else {
            let mut larger = Self::zeros(len);
            larger[..self.len].copy_from_slice(self);
            *self = larger;
        }
    }

    /// The first `len` elements, with whatever values earlier uses left; allocates when there are fewer.
    pub fn scratch(&mut self, len: usize) -> &mut [E] {
        if self.start + len > self.storage.len() {
            *self = Self::zeros(len);
        }
        self.len = self.len.max(len);
        &mut self[..len]
    }
}

impl<E> Deref for Buffer<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl<E> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

impl<E: Element> Clone for Buffer<E> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<E: Element> FromIterator<E> for Buffer<E> {
    fn from_iter<I: IntoIterator<Item = E>>(values: I) -> Self {
        let values: Vec<E> = values.into_iter().collect();
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(&values);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned<E: Element>(buffer: &Buffer<E>) -> bool {
        (buffer.as_ptr() as usize).is_multiple_of(LINE)
    }

    #[test]
    fn every_length_is_aligned_and_keeps_its_prefix() {
        for len in 0..200 {
            let mut buffer: Buffer<f64> = (0..len).map(|i| i as f64).collect();
            assert!(len == 0 || aligned(&buffer));
            assert!(len == 0 || aligned(&buffer.clone()));
            buffer.resize(len / 2);
            buffer.resize(2 * len + 1);
            assert!(aligned(&buffer));
            let expected = |i: usize| if i < len / 2 { i as f64 } else { 0.0 };
            assert!(buffer.iter().enumerate().all(|(i, &x)| x == expected(i)));
        }
    }

    #[test]
    fn scratch_grows_and_never_shrinks() {
        let mut buffer = Buffer::<f32>::new();
        assert_eq!(buffer.scratch(70).len(), 70);
        assert_eq!(buffer.scratch(3).len(), 3);
        assert_eq!(buffer.len(), 70);
        assert!(aligned(&buffer));
    }
}
