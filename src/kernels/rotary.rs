//! Rotary position embedding: pairs of neighbouring elements turn by an angle that grows with the position.

use super::lanes::kernel;

#[inline(always)]
fn check(row: usize, cos: usize, sin: usize) {
    assert!(row == 2 * cos && cos == sin, "rotation of {row} elements by {cos} cosines and {sin} sines");
}

kernel! {
    /// Turns each pair `(row[2i], row[2i+1])` by the angle whose cosine and sine are `cos[i]`, `sin[i]`.
    ///
    /// `row: [dim]`, `cos, sin: [dim / 2]`.
    ///
    /// ```
    /// let mut row = [1.0_f32, 0.0];
    /// ihead::internals::kernels::rotate_pairs(&mut row, &[0.6], &[0.8]);
    /// assert_eq!(row, [0.6, 0.8]);
    /// ```
    pub fn rotate_pairs<'a, E>(_simd; row: &'a mut [E], cos: &'a [E], sin: &'a [E]) -> () {
        check(row.len(), cos.len(), sin.len());
        let (pairs, _) = row.as_chunks_mut();
        let (cos, sin) = (&cos[..pairs.len()], &sin[..pairs.len()]);
        for i in 0..pairs.len() {
            let ([x, y], c, s) = (&mut pairs[i], cos[i], sin[i]);
            (*x, *y) = (*x * c - *y * s, *x * s + *y * c);
        }
    }
}

kernel! {
    /// Turns each pair back: the inverse of [`rotate_pairs`], which is also its gradient.
    pub fn rotate_pairs_back<'a, E>(_simd; row: &'a mut [E], cos: &'a [E], sin: &'a [E]) -> () {
        check(row.len(), cos.len(), sin.len());
        let (pairs, _) = row.as_chunks_mut();
        let (cos, sin) = (&cos[..pairs.len()], &sin[..pairs.len()]);
        for i in 0..pairs.len() {
            let ([x, y], c, s) = (&mut pairs[i], cos[i], sin[i]);
            (*x, *y) = (*x * c + *y * s, *y * c - *x * s);
        }
    }
}
