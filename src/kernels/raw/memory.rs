//! Memory that several buffers share, in large pages where the system has them.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

/// A cache line.
const LINE: usize = 64;
/// A large page.
const PAGE: usize = 2 << 20;
/// The alignment up to which allocators hand out zeros that are not yet in memory.
const ALIGN: usize = 16;

/// One allocation, freed when the last of its parts is.
#[derive(Debug)]
struct Region {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a region does nothing but free its memory; what lies there is reached through parts.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `base` was allocated with this layout and is freed here only, as no part is left.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}

/// A part of a region, which no other part overlaps: as good as a slice that is owned.
#[derive(Debug)]
pub struct Part<E> {
    first: NonNull<E>,
    len: usize,
    /// Keeps the memory.
    _region: Arc<Region>,
}

// SAFETY: a part owns its numbers, like a `Vec`.
unsafe impl<E: Send> Send for Part<E> {}
// SAFETY: as above.
unsafe impl<E: Sync> Sync for Part<E> {}

/// Parts of these lengths, of zeros, each beginning at a cache line; none is empty.
pub(in crate::kernels) fn zeros<E: crate::kernels::Element>(lens: &[usize]) -> Vec<Part<E>> {
    let line = LINE / size_of::<E>();
    let sum = lens.iter().try_fold(0usize, |sum, len| sum.checked_add(len.checked_next_multiple_of(line)?));
    let bytes = sum.and_then(|sum| sum.checked_mul(size_of::<E>()));
    let Some(bytes) = bytes.filter(|bytes| *bytes > 0) else {
        assert!(lens.iter().all(|len| *len == 0), "buffers of more numbers than an address can count");
        return Vec::new();
    };
    let large = large_pages(bytes) * PAGE;
    let align = if large == 0 { LINE } else { PAGE };
    let size = bytes.max(large).checked_add(align);
    let layout = size.and_then(|size| Layout::from_size_align(size, ALIGN).ok());
    let layout = layout.expect("buffers of more bytes than an allocation can have");
    // SAFETY: the size is not 0.
    let Some(base) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
    let region = Arc::new(Region { base, layout });
    let skipped = base.as_ptr().align_offset(align);
    assert!(skipped <= align, "an address that cannot be aligned");
    // SAFETY: `skipped <= align`, and the allocation has `align` bytes more than the parts and the large pages.
    let start = unsafe { base.add(skipped) };
    ask_for_large_pages(start, large);
    let mut first = start.cast::<E>();
    let part = |&len: &usize| {
        let part = Part { first, len, _region: Arc::clone(&region) };
        // SAFETY: the parts before and this one, each rounded up to lines, are within the `bytes` from `start`.
        first = unsafe { first.add(len.next_multiple_of(line)) };
        part
    };
    lens.iter().map(part).collect()
}

/// How many large pages so many bytes take: as many as hold them if these are at most a quarter larger, and otherwise as many as they
/// fill, whereupon the rest lies in small pages. None where the library does not ask for them.
fn large_pages(bytes: usize) -> usize {
    if cfg!(not(target_os = "linux")) {
        return 0;
    }
    let all = bytes.div_ceil(PAGE);
    if all * PAGE - bytes <= bytes / 4 { all } else { bytes / PAGE }
}

/// Asks the system to map large pages here. Where it does not, nothing changes.
fn ask_for_large_pages(start: NonNull<u8>, bytes: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    if bytes > 0 {
        // SAFETY: the advice changes nothing of what lies in these bytes, which are of one allocation of our own.
        let _ =
            unsafe { rustix::mm::madvise(start.as_ptr().cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
    }
    #[cfg(any(not(target_os = "linux"), miri))]
    let _ = (start, bytes);
}

impl<E> Part<E> {
    /// Its numbers.
    #[inline(always)]
    pub fn as_slice(&self) -> &[E] {
        // SAFETY: the region holds `len` numbers from `first` on, which were zeros at first, and lives as long as this part; no
        // other part overlaps them.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    /// Its numbers, to be written.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        // SAFETY: as in `as_slice`, and this part is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn large_pages_are_at_most_a_quarter_larger_than_what_lies_there() {
        let least = (4 * PAGE).div_ceil(5);
        for (bytes, pages) in [(0, 0), (1, 0), (least - 1, 0), (least, 1), (PAGE, 1), (PAGE + 1, 1)] {
            assert_eq!(large_pages(bytes), pages, "{bytes}");
        }
        assert_eq!((large_pages(2 * PAGE - 1), large_pages(9 * PAGE + 1)), (2, 10));
    }
}
