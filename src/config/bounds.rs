//! The range that a number must lie in.

/// The range of a number. In a list it applies to each item, in an optional value to whatever is not null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
    /// The value that it must be greater than.
    pub above: Option<f64>,
    /// The value that it must be less than.
    pub below: Option<f64>,
}

impl Bounds {
    /// Whether `value` lies in the range; NaN lies in every range.
    pub fn contain(&self, value: f64) -> bool {
        let outside = self.min.is_some_and(|min| value < min)
            || self.max.is_some_and(|max| value > max)
            || self.above.is_some_and(|above| value <= above)
            || self.below.is_some_and(|below| value >= below);
        !outside
    }

    /// The range as the end of a phrase: ` of at least 1`, ` from 0 to 1`, or nothing.
    pub(super) fn phrase(&self) -> String {
        if let (Some(min), Some(max)) = (self.min, self.max) {
            return format!(" from {min} to {max}");
        }
        let low = match (self.min, self.above) {
            (Some(min), _) => Some(format!(" of at least {min}")),
            (None, above) => above.map(|above| format!(" above {above}")),
        };
        let high = match (self.max, self.below) {
            (Some(max), _) => Some(format!(" of at most {max}")),
            (None, below) => below.map(|below| format!(" below {below}")),
        };
        match (low, high) {
            (Some(low), Some(high)) => format!("{low} and{high}"),
            (low, high) => low.or(high).unwrap_or_default(),
        }
    }
}
