//! Values as text: `name(item, item)`, for command lines and records.

/// The items between commas that are in no brackets; `None` if brackets do not fit or an item is empty.
pub(crate) fn split(text: &str) -> Option<Vec<&str>> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                items.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(text[start..].trim());
    (depth == 0 && items.iter().all(|item| !item.is_empty())).then_some(items)
}

/// `name(inside)`, or `name` alone; `None` if a bracket is not closed.
pub(crate) fn call(text: &str) -> Option<(&str, &str)> {
    match text.trim().split_once('(') {
        None => Some((text.trim(), "")),
        Some((name, rest)) => Some((name.trim_end(), rest.strip_suffix(')')?.trim())),
    }
}

/// The numbers between commas, all finite.
pub(crate) fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let number = |text: &str| text.parse().ok().filter(|x: &f64| x.is_finite());
    split(text)?.into_iter().map(number).collect::<Option<Vec<f64>>>()?.try_into().ok()
}

/// Writes and reads a type as its text.
macro_rules! serde_as_text {
    ($($ty:ty),*) => {$(
        impl From<$ty> for String {
            fn from(value: $ty) -> String {
                value.to_string()
            }
        }

        impl TryFrom<String> for $ty {
            type Error = $crate::Error;
            fn try_from(text: String) -> $crate::Result<$ty> {
                text.parse()
            }
        }
    )*};
}
pub(crate) use serde_as_text;
