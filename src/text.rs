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
pub(crate) fn numbers(text: &str) -> Option<Vec<f64>> {
    let number = |text: &str| text.parse().ok().filter(|x: &f64| x.is_finite());
    split(text)?.into_iter().map(number).collect()
}

/// The same, so many of them.
pub(crate) fn exactly<const N: usize>(text: &str) -> Option<[f64; N]> {
    numbers(text)?.try_into().ok()
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

/// Makes a type that has a text a setting, whose value is that text.
macro_rules! setting_as_text {
    ($ty:ty) => {
        impl $crate::config::FieldType for $ty {
            fn kind() -> $crate::config::Kind {
                $crate::config::Kind::Text
            }

            fn from_json(json: &serde_json::Value) -> Result<Self, String> {
                let text = <String as $crate::config::FieldType>::from_json(json)?;
                text.parse().map_err(|error: $crate::Error| error.to_string())
            }

            fn to_json(&self) -> serde_json::Value {
                self.to_string().into()
            }
        }
    };
}
pub(crate) use setting_as_text;
