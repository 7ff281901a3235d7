//! Names: patterns of them, and the nearest known name to one that is not known, for error messages.
use std::ops::Range;

/// The name in `known` that `name` most likely stands for, or `None` if nothing is near.
///
/// A name is near when it is a permitted number of edits away, a third of its length and at least one
/// (Damerau-Levenshtein), when case and `-`/`_` are all that differs, or when its last dotted part is `name`.
///
/// ```
/// use ihead::internals::names::nearest;
/// let known = ["optim_args.learning_rate", "seed", "max_iters"];
/// assert_eq!(nearest("max_iter", known), Some("max_iters"));
/// assert_eq!(nearest("learning_rate", known), Some("optim_args.learning_rate"));
/// assert_eq!(nearest("colour", known), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = fold(name);
    known
        .into_iter()
        .filter_map(|candidate| distance(&wanted, &fold(candidate)).map(|edits| (edits, candidate)))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// The end of a message about an unknown name: `; did you mean 'seed'?`, or nothing when no name is near.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    meant(nearest(name, known))
}

/// The same of the name that is meant.
pub(crate) fn meant(known: Option<&str>) -> String {
    known.map_or_else(String::new, |known| format!("; did you mean '{known}'?"))
}

/// Whether `name` is `pattern`, in which `*` stands for any characters and a part `START..END` for a number of that range.
///
/// ```
/// use ihead::internals::names::matches;
/// assert!(matches("layers.*.wk.weight", "layers.0.attention.wk.weight"));
/// assert!(!matches("layers.0", "layers.0.attention.wk.weight"));
/// assert!(matches("layers.0..2.ff.*", "layers.1.ff.out"));
/// assert!(!matches("layers.0..2.ff.*", "layers.2.ff.out"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, range, tail)) = first_range(pattern) else { return matches_stars(pattern, name) };
    let in_range = |part: &str| number(part).is_some_and(|number| range.contains(&number));
    let mut behind = 0;
    pattern == name
        || name.split('.').any(|part| {
            let at = behind;
            behind += part.len() + 1;
            in_range(part) && matches_stars(head, &name[..at]) && matches(tail, &name[at + part.len()..])
        })
}

/// Whether a number of a run is the norm of a parameter, or of its gradient, because the run logs norms: it records both, `norm_NAME` and
/// `gradnorm_NAME`. `has` says which numbers there are.
///
/// ```
/// use ihead::internals::names::is_logged_norm;
/// let has = |name: &str| ["norm_pe", "gradnorm_pe", "norm_resid"].contains(&name);
/// assert!(is_logged_norm("norm_pe", has) && is_logged_norm("gradnorm_pe", has));
/// assert!(!is_logged_norm("norm_resid", has)); // somebody has named it
/// ```
pub fn is_logged_norm(name: &str, has: impl Fn(&str) -> bool) -> bool {
    let with = |own: &str, other: &str| {
        name.strip_prefix(own).is_some_and(|parameter| has(&format!("{other}{parameter}")))
    };
    with("norm_", "gradnorm_") || with("gradnorm_", "norm_")
}

/// A number of digits alone.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| text.bytes().all(|c| c.is_ascii_digit()))
}

/// The first part `START..END` of a pattern, with what is before and behind it; the dots around it belong to these.
fn first_range(pattern: &str) -> Option<(&str, Range<usize>, &str)> {
    pattern.match_indices("..").find_map(|(dots, _)| {
        let start = pattern[..dots].rfind('.').map_or(0, |dot| dot + 1);
        let behind = &pattern[dots + 2..];
        let end = behind.find('.').unwrap_or(behind.len());
        let range = number(&pattern[start..dots])?..number(&behind[..end])?;
        Some((&pattern[..start], range, &behind[end..]))
    })
}

/// Where a pattern has a range without any number in it.
pub(crate) fn empty_range(pattern: &str) -> Option<usize> {
    let (head, range, tail) = first_range(pattern)?;
    let behind = || empty_range(tail).map(|at| pattern.len() - tail.len() + at);
    if range.is_empty() { Some(head.len()) } else { behind() }
}

/// Whether `name` is `pattern`, in which `*` stands for any characters.
fn matches_stars(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
    // the first place of each part leaves the most for those behind it
    let behind = |rest: &'_ str, part: &str| rest.find(part).map(|at| at + part.len());
    inner.is_some_and(|inner| {
        let mut rest = inner;
        middle.split('*').all(|part| behind(rest, part).map(|end| rest = &rest[end..]).is_some())
    })
}

/// Those of `names`, dotted paths, that `pattern` stands for: a name, a pattern with `*` or a range, or either for the path of a module
/// that holds nothing but the one name, so that `layers.0.wk` and `layers.*.wk` stand for the weight of that map.
///
/// ```
/// use ihead::internals::names::stands_for;
/// let names = ["layers.0.wk.weight", "layers.1.wk.weight", "norm.weight", "norm.bias"];
/// assert_eq!(stands_for("layers.1.wk", names), ["layers.1.wk.weight"]);
/// assert_eq!(stands_for("layers.*.wk", names), ["layers.0.wk.weight", "layers.1.wk.weight"]);
/// assert_eq!(stands_for("layers.0..2.wk", names), ["layers.0.wk.weight", "layers.1.wk.weight"]);
/// assert!(stands_for("norm", names).is_empty()); // which one?
/// ```
pub fn stands_for<'a>(pattern: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let names: Vec<&str> = names.into_iter().collect();
    match names.iter().find(|name| **name == pattern) {
        Some(name) => vec![name],
        None => names.iter().copied().filter(|name| alias(pattern, name, &names).is_some()).collect(),
    }
}

/// The one of `names` that `name`, which has no `*`, stands for: itself, or what the module of this path holds.
pub(crate) fn only<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    match stands_for(name, names)[..] {
        [one] if !name.contains('*') => Some(one),
        _ => None,
    }
}

/// The name, or the path of a module that holds nothing else, that `pattern` matches.
pub(crate) fn alias<'a>(pattern: &str, name: &'a str, names: &[&str]) -> Option<&'a str> {
    let alone = |path: &str| {
        let inside = |name: &&&str| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        names.iter().filter(inside).count() == 1
    };
    let paths = name.rmatch_indices('.').map(|(dot, _)| &name[..dot]);
    // whether it is alone is asked last: of all paths, that takes the time
    let path = || paths.into_iter().find(|path| matches(pattern, path) && alone(path));
    if matches(pattern, name) { Some(name) } else { path() }
}

/// What the `*` of `pattern` stand for in `name`, each but the last as short as can be.
pub(crate) fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let Some((head, rest)) = pattern.split_once('*') else { return (pattern == name).then(Vec::new) };
    let (mut left, mut found) = (name.strip_prefix(head)?, Vec::new());
    let parts: Vec<&str> = rest.split('*').collect();
    let (last, between) = parts.split_last()?;
    for part in between {
        let at = left.find(part)?;
        found.push(&left[..at]);
        left = &left[at + part.len()..];
    }
    found.push(left.strip_suffix(last)?);
    Some(found)
}

/// Case and the choice of separator do not count.
fn fold(name: &str) -> String {
    name.trim_start_matches('-').to_lowercase().replace('-', "_")
}

/// Edits from `wanted` to `candidate`, to its end of as many dotted parts, or to the path of the module whose weight it is (then
/// half an edit more), doubled so that all are integers; `None` when that is too far.
fn distance(wanted: &str, candidate: &str) -> Option<usize> {
    let whole = edits(wanted, candidate).map(|n| 2 * n);
    let parts = wanted.matches('.').count() + 1;
    let end = candidate.rmatch_indices('.').nth(parts - 1).map(|(dot, _)| &candidate[dot + 1..]);
    // `weight` and `bias` end the names of most parameters: they tell none from another
    let tells = |last: &&str| parts == 2 && !matches!(*last, "weight" | "bias");
    let last = candidate.rsplit('.').next().filter(tells);
    let by_end = end.and_then(|end| edits(wanted, end)).map(|n| 2 * n + 1);
    // A key written under the wrong section: its own last part is what was meant. Two edits of the whole are nearer.
    let moved = last.and_then(|last| edits(wanted.rsplit('.').next()?, last)).map(|n| 2 * n + 5);
    let module =
        candidate.strip_suffix(".weight").and_then(|module| edits(wanted, module)).map(|n| 2 * n + 1);
    [whole, by_end, moved, module].into_iter().flatten().min()
}

/// The number of edits, if it is permitted for words of this length.
fn edits(a: &str, b: &str) -> Option<usize> {
    let permitted = (a.chars().count() / 3).max(1);
    Some(strsim::damerau_levenshtein(a, b)).filter(|&n| n <= permitted && n < a.chars().count().max(1))
}

#[cfg(test)]
mod tests {
    use super::{alias, captures, empty_range, hint, matches, nearest};

    const KNOWN: [&str; 5] =
        ["optim_args.learning_rate", "optim_args.momentum", "model_args.dim", "data_args.k", "seed"];

    #[test]
    fn a_key_of_another_section_is_found_by_its_last_part() {
        assert_eq!(nearest("model_args.learning_rate", KNOWN), Some("optim_args.learning_rate"));
        assert_eq!(nearest("momentum", KNOWN), Some("optim_args.momentum"));
        assert_eq!(nearest("dmi", KNOWN), Some("model_args.dim"));
        // two edits of the whole are nearer than another section's last part, three are not
        let known = |near| ["train.learning_rate", near];
        let near = nearest("optim.learning_rate", known("optimm.learning_rat"));
        assert_eq!(near, Some("optimm.learning_rat"));
        let near = nearest("optim.learning_rate", known("optimmm.learning_rat"));
        assert_eq!(near, Some("train.learning_rate"));
    }

    #[test]
    fn the_last_part_of_a_parameter_s_name_is_not_what_tells_it_from_others() {
        let known = ["tok_embeddings.weight", "layers.1.attention.wk.weight", "output.weight"];
        assert_eq!(nearest("layers.1.attention.wq.weight", known), Some("layers.1.attention.wk.weight"));
        assert_eq!(nearest("layers.1.attention.wkk2.weight", known), Some("layers.1.attention.wk.weight"));
        assert_eq!(nearest("ouptt.weight", known), Some("output.weight"));
        // nor need it be written
        assert_eq!(nearest("layers.1.attention.wl", known), Some("layers.1.attention.wk.weight"));
        assert_eq!(nearest("outptu", known), Some("output.weight"));
        // a file that lacked the unembedding was asked whether it meant the keys of a layer
        assert_eq!(nearest("output.weight", known[..2].iter().copied()), None);
    }

    #[test]
    fn a_star_is_any_characters() {
        let yes = [("*", ""), ("**", "a"), ("a*", "a"), ("*a", "ba"), ("a*a", "aa"), ("a*b*c", "abbcc")];
        assert!(yes.iter().all(|(pattern, name)| matches(pattern, name)));
        assert!(matches("*ab*b*", "xabab") && matches("ä*ö", "äüö"));
        let no = [("a*a", "a"), ("", "a"), ("*a", "ab"), ("a*b*c", "ac"), ("*aa*aa*", "aaa"), ("a", "")];
        assert!(!no.iter().any(|(pattern, name)| matches(pattern, name)));
    }

    #[test]
    fn a_range_is_a_number_between_dots() {
        let yes = [
            ("layers.0..3.wk", "layers.2.wk"),
            ("*.1..12.*", "a.b.11.c"),
            ("0..2", "1"),
            ("layers.0..2.heads.3..5", "layers.1.heads.4"),
            ("*.0..2.*", "5.0.1"),
            ("a..b.0..2", "a..b.1"),
            ("layers.0..3.wk", "layers.0..3.wk"), // as it is written
        ];
        assert!(yes.iter().all(|(pattern, name)| matches(pattern, name)));
        let no = [
            ("layers.0..3.wk", "layers.3.wk"),
            ("layers.0..3.wk", "layers..wk"),
            ("layers.0..3.wk", "layers.0..3.wv"),
            ("layers.0..3", "layers.x2"),
            ("layers0..3", "layers2"),
            ("2..0", "1"),
            ("0..99999999999999999999", "1"),
        ];
        assert!(!no.iter().any(|(pattern, name)| matches(pattern, name)));
        assert_eq!(
            [empty_range("a.0..2.3..3.b"), empty_range("a.0..2.b"), empty_range("a..b")],
            [Some(7), None, None]
        );
    }

    #[test]
    fn stars_capture_what_they_stand_for_as_short_as_can_be() {
        assert_eq!(captures("a.*.c.*", "a.b.c.d.c.e"), Some(vec!["b", "d.c.e"]));
        assert_eq!(captures("*b*", "abab"), Some(vec!["a", "ab"]));
        assert_eq!((captures("a", "a"), captures("a", "b")), (Some(vec![]), None));
        assert_eq!([captures("b*", "a"), captures("*x*", "ab"), captures("*c", "ab")], [None, None, None]);
    }

    #[test]
    fn a_path_stands_for_the_one_name_in_it() {
        let names = ["ff.in.weight", "ff.out.weight", "ff.out.bias", "ffs.weight"];
        assert_eq!(alias("ff.in", names[0], &names), Some("ff.in"));
        assert_eq!(alias("ff.*.weight", names[1], &names), Some("ff.out.weight"));
        assert_eq!((alias("ff.out", names[1], &names), alias("ff", names[0], &names)), (None, None));
        // `ff` is no path of `ffs.weight`
        assert_eq!(alias("ffs", names[3], &names), Some("ffs"));
    }

    #[test]
    fn a_hint_is_the_end_of_a_message() {
        assert_eq!(hint("sed", KNOWN), "; did you mean 'seed'?");
        assert_eq!(hint("colour", KNOWN), "");
        // one edit of three letters, and never all of a name
        assert_eq!((nearest("dims", ["dim"]), nearest("k", ["q"])), (Some("dim"), None));
        assert_eq!((nearest("abcdef", ["abcdxy"]), nearest("abcdef", ["abcxyz"])), (Some("abcdxy"), None));
        assert_eq!((nearest("abcde", ["abcdx"]), nearest("abcde", ["abcxy"])), (Some("abcdx"), None));
    }

    /// The time was exponential in the number of stars.
    #[test]
    fn many_stars_take_no_longer_than_one() {
        let (stars, name) = ("*".repeat(40), "a".repeat(100_000));
        assert!(!matches(&format!("{stars}q"), &name));
        assert!(!matches(&format!("{}q", "a*".repeat(40)), &name));
        assert!(matches(&"*a".repeat(1000), &name));
    }

    #[test]
    fn case_and_separators_do_not_count() {
        assert_eq!(nearest("--Optim-Args.learning-rate", KNOWN), Some("optim_args.learning_rate"));
    }

    #[test]
    fn nothing_is_near_a_foreign_word() {
        assert_eq!(nearest("temperature", KNOWN), None);
        assert_eq!(nearest("q", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
    }
}
