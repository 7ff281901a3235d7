//! The nearest known name to one that is not known.

/// The name in `known` that is fewest edits from `name`, if that is at most a third of it, and one at least.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let permitted = (name.chars().count() / 3).max(1);
    let edits = |candidate: &&str| strsim::damerau_levenshtein(name, candidate);
    known.into_iter().filter(|candidate| edits(candidate) <= permitted).min_by_key(edits)
}
