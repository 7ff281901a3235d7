//! Selections of positions.
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::data::Batch;
use crate::engine::RowLists;

use super::Sequence;

/// A selection of positions of a sequence.
///
/// ```
/// use ihead::probe::{Select, Sequence};
/// let sequence = Sequence { x: &[3, 1, 3, 1], y: &[1, 3, 1, 1], marks: &[1, 0, 2, 0] };
/// let chosen = |select: Select| (0..4).filter(|&t| select.holds(&sequence, t)).collect::<Vec<_>>();
/// assert_eq!(chosen(Select::marks(1..)), [0, 2]);
/// assert_eq!(chosen(Select::marks(2..).and(Select::first(3))), [2]);
/// assert_eq!(chosen(Select::marks(1..).after()), [1, 3]);
/// assert_eq!(chosen(!Select::repeats()), [0, 1, 2]);
/// assert_eq!(Select::marks(2..).and(Select::last(500)).to_string(), "marks >= 2, among the last 500 positions");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Select {
    /// Every position.
    All,
    /// The positions whose mark lies between two values, both included.
    Marks {
        /// The least mark.
        least: i32,
        /// The greatest mark.
        greatest: i32,
    },
    /// The first so many positions.
    First(usize),
    /// The last so many positions.
    Last(usize),
    /// The positions with `x[t] = y[t]`: the next token is the same as the current one.
    Repeats,
    /// The positions whose token occurs at an earlier position too.
    SeenBefore,
    /// The positions right after those of another selection; position 0 is never among them.
    After(Arc<Select>),
    /// The positions that both selections have.
    And(Arc<[Select; 2]>),
    /// The positions that at least one of the selections has.
    Or(Arc<[Select; 2]>),
    /// The positions that another selection does not have.
    Not(Arc<Select>),
    /// The positions of a rule of your own, with its name in messages.
    Where(Arc<str>, Arc<Rule>),
}

/// A rule of your own: whether position `t` of a sequence is selected, `rule(sequence, t)`. It is asked about positions in any order;
/// in [`Select::And`], about those alone that the selection before it has.
pub type Rule = dyn Fn(&Sequence<'_>, usize) -> bool + Send + Sync;

impl Select {
    /// Selects the positions whose mark lies in the range, such as `0..=0` or `2..`; none, if nothing lies in it.
    pub fn marks(range: impl RangeBounds<i32>) -> Self {
        let least = match range.start_bound() {
            Bound::Included(&least) => Some(least),
            Bound::Excluded(&below) => below.checked_add(1),
            Bound::Unbounded => Some(i32::MIN),
        };
        let greatest = match range.end_bound() {
            Bound::Included(&greatest) => Some(greatest),
            Bound::Excluded(&above) => above.checked_sub(1),
            Bound::Unbounded => Some(i32::MAX),
        };
        match (least, greatest) {
            (Some(least), Some(greatest)) => Select::Marks { least, greatest },
            _ => !Select::All,
        }
    }

    /// Selects the first `n` positions.
    pub fn first(n: usize) -> Self {
        Select::First(n)
    }

    /// Selects the last `n` positions.
    pub fn last(n: usize) -> Self {
        Select::Last(n)
    }

    /// Selects the positions with `x[t] = y[t]`: the next token is the same as the current one.
    pub fn repeats() -> Self {
        Select::Repeats
    }

    /// Selects the positions whose token occurs at an earlier position too.
    pub fn seen_before() -> Self {
        Select::SeenBefore
    }

    /// Selects positions by a rule of your own, which messages call `words`.
    pub fn by(words: &str, rule: impl Fn(&Sequence<'_>, usize) -> bool + Send + Sync + 'static) -> Self {
        Select::Where(words.into(), Arc::new(rule))
    }

    /// Selects the positions right after those of this selection.
    pub fn after(self) -> Self {
        Select::After(Arc::new(self))
    }

    /// Selects the positions that both selections have.
    pub fn and(self, other: Select) -> Self {
        match (self, other) {
            (Select::All, one) | (one, Select::All) => one,
            both => Select::And(Arc::new(both.into())),
        }
    }

    /// Selects the positions that at least one of the selections has.
    pub fn or(self, other: Select) -> Self {
        match (self, other) {
            (Select::All, _) | (_, Select::All) => Select::All,
            both => Select::Or(Arc::new(both.into())),
        }
    }

    /// Whether every position with a mark that is not negative is chosen, as can be told from the ranges of marks alone.
    pub(super) fn has_all_marks(&self) -> bool {
        let mut ranges = Vec::new();
        self.ranges_of_marks(&mut ranges);
        ranges.sort_unstable();
        let mut next = 0;
        for (least, greatest) in ranges {
            if least > next {
                return false;
            }
            next = next.max(greatest.saturating_add(1));
        }
        next == i32::MAX
    }

    /// The ranges of marks of which each is enough to be chosen.
    fn ranges_of_marks(&self, ranges: &mut Vec<(i32, i32)>) {
        match *self {
            Select::All => ranges.push((i32::MIN, i32::MAX)),
            Select::Marks { least, greatest } => ranges.push((least, greatest)),
            Select::Or(ref both) => both.iter().for_each(|one| one.ranges_of_marks(ranges)),
            _ => {}
        }
    }

    /// Returns whether position `t` of a sequence is selected.
    ///
    /// # Panics
    /// If there is no such position.
    pub fn holds(&self, sequence: &Sequence<'_>, t: usize) -> bool {
        match self {
            Select::All => true,
            Select::Marks { least, greatest } => (least..=greatest).contains(&&sequence.marks[t]),
            Select::First(n) => t < *n,
            Select::Last(n) => sequence.len() - t <= *n,
            Select::Repeats => sequence.x[t] == sequence.y[t],
            Select::SeenBefore => sequence.x[..t].contains(&sequence.x[t]),
            Select::After(one) => t > 0 && one.holds(sequence, t - 1),
            Select::And(both) => both.iter().all(|one| one.holds(sequence, t)),
            Select::Or(both) => both.iter().any(|one| one.holds(sequence, t)),
            Select::Not(one) => !one.holds(sequence, t),
            Select::Where(_, rule) => rule(sequence, t),
        }
    }

    /// Returns the selected positions of each sequence of a batch, as an engine takes them for a
    /// [`RowSet::Set`](crate::engine::RowSet).
    pub fn rows(&self, batch: &Batch) -> RowLists {
        let mut mask = Vec::new();
        RowLists::choose_by_sequence(batch, |i, positions| {
            let sequence = Sequence::of(batch, i);
            self.mask(&sequence, &mut mask);
            positions.extend((0..).zip(&mask).filter(|(_, selected)| **selected).map(|(t, _)| t));
        })
    }

    /// Whether each position of a sequence is selected, `[seq]`: what [`holds`](Self::holds) says of one, of all at once.
    pub(super) fn mask(&self, sequence: &Sequence<'_>, mask: &mut Vec<bool>) {
        mask.clear();
        mask.resize(sequence.len(), true);
        self.narrow(sequence, mask);
    }

    /// Unselects positions that this selection does not have. A rule of the user's is asked about selected ones alone, as by
    /// [`holds`](Self::holds).
    fn narrow(&self, sequence: &Sequence<'_>, mask: &mut [bool]) {
        match self {
            Select::All => {}
            Select::Marks { least, greatest } => {
                for (selected, mark) in mask.iter_mut().zip(sequence.marks) {
                    *selected &= least <= mark && mark <= greatest;
                }
            }
            Select::First(n) => mask.iter_mut().skip(*n).for_each(|selected| *selected = false),
            Select::Last(n) => mask.iter_mut().rev().skip(*n).for_each(|selected| *selected = false),
            Select::Repeats => {
                let tokens = sequence.x.iter().zip(sequence.y);
                mask.iter_mut().zip(tokens).for_each(|(selected, (x, y))| *selected &= x == y);
            }
            Select::And(both) => both.iter().for_each(|one| one.narrow(sequence, mask)),
            one => {
                for (t, selected) in mask.iter_mut().enumerate() {
                    *selected = *selected && one.holds(sequence, t);
                }
            }
        }
    }
}

impl std::ops::Not for Select {
    type Output = Select;

    fn not(self) -> Select {
        match self {
            Select::Not(one) => Arc::unwrap_or_clone(one),
            one => Select::Not(Arc::new(one)),
        }
    }
}

/// Selects the positions that both selections have.
impl std::ops::BitAnd for Select {
    type Output = Select;

    fn bitand(self, other: Select) -> Select {
        self.and(other)
    }
}

/// Selects the positions that at least one of the selections has.
impl std::ops::BitOr for Select {
    type Output = Select;

    fn bitor(self, other: Select) -> Select {
        self.or(other)
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Select::All => write!(f, "all positions"),
            Select::Marks { least, greatest } if least == greatest => write!(f, "marks = {least}"),
            Select::Marks { least, greatest: i32::MAX } => write!(f, "marks >= {least}"),
            Select::Marks { least: i32::MIN, greatest } => write!(f, "marks <= {greatest}"),
            Select::Marks { least, greatest } => write!(f, "marks {least} to {greatest}"),
            Select::First(n) => write!(f, "among the first {n} positions"),
            Select::Last(n) => write!(f, "among the last {n} positions"),
            Select::Repeats => write!(f, "x = y"),
            Select::SeenBefore => write!(f, "token seen before"),
            Select::After(one) => write!(f, "after ({one})"),
            Select::And(both) => write!(f, "{}, {}", both[0], both[1]),
            Select::Or(both) => write!(f, "({}) or ({})", both[0], both[1]),
            Select::Not(one) => write!(f, "not ({one})"),
            Select::Where(words, _) => f.write_str(words),
        }
    }
}

impl fmt::Debug for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Select({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::{Select, Sequence};

    /// A rule may rely on what stands before it in a conjunction.
    #[test]
    fn all_positions_at_once_are_what_holds_says_of_each() {
        let (x, y, marks) = ([3, 1, 3, 1, 2], [1, 3, 1, 1, 0], [1, 0, 2, 0, -1]);
        let sequence = Sequence { x: &x, y: &y, marks: &marks };
        let never_first = |name| {
            Select::by(name, |s, t| {
                assert!(t > 0, "asked about the first position");
                s.x[t - 1] > s.x[t]
            })
        };
        let selects = [
            Select::All,
            Select::marks(..),
            Select::marks(1..=1),
            Select::first(2),
            Select::last(2),
            Select::first(0),
            Select::last(9),
            Select::repeats(),
            Select::seen_before(),
            Select::marks(1..).after(),
            !Select::first(1) & never_first("falls"),
            Select::marks(0..) & (!Select::first(1) & never_first("falls")),
            (Select::marks(0..) & !Select::first(1) & never_first("falls")) | Select::last(1),
            !(Select::marks(1..) | Select::repeats()),
        ];
        let mut mask = vec![false; 9];
        for select in &selects {
            select.mask(&sequence, &mut mask);
            let each: Vec<bool> = (0..5).map(|t| select.holds(&sequence, t)).collect();
            assert_eq!(mask, each, "{select}");
        }
    }

    #[test]
    fn a_range_that_ends_before_the_least_mark_selects_nothing() {
        let marks = [i32::MIN, 0, i32::MAX];
        let sequence = Sequence { x: &[0; 3], y: &[0; 3], marks: &marks };
        let chosen = |select: Select| (0..3).filter(|&t| select.holds(&sequence, t)).collect::<Vec<_>>();
        assert!(chosen(Select::marks(..i32::MIN)).is_empty());
        assert!(chosen(Select::marks((Bound::Excluded(i32::MAX), Bound::Unbounded))).is_empty());
        assert_eq!(chosen(Select::marks(..=i32::MIN)), [0]);
        assert_eq!(chosen(Select::marks((Bound::Excluded(i32::MIN), Bound::Included(0)))), [1]);
    }

    #[test]
    fn ranges_of_marks_that_meet_are_all_marks() {
        let all = |select: Select| select.has_all_marks();
        assert!(all(Select::All) && all(Select::marks(0..)) && all(Select::marks(..)));
        assert!(all(Select::marks(0..=0)
            .or(Select::marks(2..))
            .or(Select::marks(1..=3))
            .or(Select::repeats())));
        assert!(!all(Select::marks(0..=0).or(Select::marks(2..))));
        assert!(!all(Select::marks(1..).or(Select::repeats())));
        assert!(!all(Select::marks(0..).and(Select::first(3))) && !all(Select::marks(0..=9)));
    }
}
