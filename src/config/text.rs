//! The grammar of values on the command line, and values written in it.
//!
//! | kind | text |
//! |---|---|
//! | bool | `True`, `False`, `true`, `false` |
//! | integer | `512`, `-1`, also `1e3` (1000), not `1.5` |
//! | number | `0.2`, `1e-4` |
//! | text, path | verbatim (`007` stays `007`); one pair of quotes around the whole is taken off |
//! | choice | one of its names |
//! | optional | `null`, `None`, else its value, which may be `''` and not nothing |
//! | list | `[1,2,3]`, `[]`; items of text may be quoted: `['a,b',c]`, and then a quote inside is doubled: `['it''s']` |
//!
//! Outside such brackets commas have no meaning. Every value has a text that is read back as it.

use ihead_formula::split::{Cut, Doubled, Piece};
use serde_json::Value;

use super::kind::{Kind, Remark};

impl Kind {
    /// The value that `text` stands for.
    pub(super) fn parse(&self, text: &str) -> Result<Value, Remark> {
        match self {
            Self::Bool => match text {
                "true" | "True" => Ok(Value::Bool(true)),
                "false" | "False" => Ok(Value::Bool(false)),
                _ => Err(Remark::new()),
            },
            Self::Integer { .. } => self.integer(integer(text).ok_or_else(Remark::new)?),
            Self::Float { .. } => {
                let number: f64 = text.parse().map_err(|_| Remark::new())?;
                let overflows = number.is_infinite() && text.contains(|c: char| c.is_ascii_digit());
                if overflows { Err("; it is too large".into()) } else { self.float(number) }
            }
            Self::Text | Self::Path => Ok(Value::String(unquoted(text).into())),
            Self::Choice(_) => self.choice(unquoted(text)),
            Self::Optional(inner) => match text {
                "null" | "None" => Ok(Value::Null),
                // a variable of the shell that has no value, more likely than what is meant
                "" => Err(Remark::new()),
                _ => inner.parse(text),
            },
            Self::List(inner) => {
                // a quote that is not closed would not be in brackets either
                let inside = text.trim_matches(['[', ']']);
                let begin = text.len() - text.trim_start_matches(['[', ']']).len() + 1;
                let write =
                    || split_items(inside, begin).err().unwrap_or_else(|| format!("; write [{inside}]"));
                let items = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let items = split_items(items.ok_or_else(write)?, 2)?;
                // a list of lists that has no brackets around its one list
                let bare = !items.is_empty() && !items.iter().any(|item| item.text.starts_with('['));
                if bare && matches!(**inner, Self::List(_)) {
                    return Err(format!("; write [{text}]"));
                }
                Ok(Value::Array(
                    items.into_iter().map(|item| inner.parse_item(item.text)).collect::<Result<_, _>>()?,
                ))
            }
        }
    }

    /// The text that stands for `value`; [`Kind::parse`] reads it back.
    pub fn to_text(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Optional(inner), Value::String(text)) if matches!(text.as_str(), "null" | "None") => {
                if matches!(**inner, Self::Text | Self::Path) { format!("'{text}'") } else { text.clone() }
            }
            (Self::Optional(inner), value) if !value.is_null() => inner.to_text(value),
            (Self::List(inner), Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(|item| inner.item_text(item)).collect();
                format!("[{}]", items.join(","))
            }
            (Self::Text | Self::Path, Value::String(text)) => {
                if text.is_empty() || unquoted(text) != text {
                    quoted(text)
                } else {
                    text.clone()
                }
            }
            (_, Value::String(text)) => text.clone(),
            (_, value) => value.to_string(),
        }
    }

    /// The value of a list's item: in a quoted one a doubled quote is one.
    fn parse_item(&self, text: &str) -> Result<Value, Remark> {
        match self {
            Self::Text | Self::Path => Ok(Value::String(match text.chars().next() {
                Some(quote @ ('\'' | '"')) if unquoted(text) != text => {
                    unquoted(text).replace(&format!("{quote}{quote}"), &quote.to_string())
                }
                _ => text.into(),
            })),
            Self::Optional(inner) if !matches!(text, "null" | "None" | "") => inner.parse_item(text),
            kind => kind.parse(text),
        }
    }

    /// The text of a list's item: quoted when it would split the list or be taken for something else.
    fn item_text(&self, value: &Value) -> String {
        let splits =
            |text: &str| text.contains([',', '[', ']', '\'', '"']) || text.trim() != text || text.is_empty();
        match (self, value) {
            (Self::Optional(_), Value::String(text)) if matches!(text.as_str(), "null" | "None") => {
                self.to_text(value)
            }
            (Self::Optional(inner), value) if !value.is_null() => inner.item_text(value),
            (Self::Text | Self::Path, Value::String(text)) if splits(text) => {
                format!("'{}'", text.replace('\'', "''"))
            }
            _ => self.to_text(value),
        }
    }
}

/// An integer in decimal, exactly: digits with a sign, a fraction and an exponent, as long as the whole is an integer.
fn integer(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // The value is `significant` times ten to the `shift`.
    let dropped = i32::try_from(all.len() - significant.len()).ok()?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    let scale = 10i128.checked_pow(u32::try_from(shift).ok()?)?;
    let magnitude = significant.parse::<i128>().ok()?.checked_mul(scale)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// The text without one pair of quotes around it.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('\'').or_else(|| inside('"')).unwrap_or(text)
}

/// The text in quotes that it does not contain.
fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}

/// How the inside of a list is cut.
const LIST: Cut =
    Cut { separator: ',', brackets: &[('[', ']')], before_quotes: &['[', ','], doubled: Doubled::IsOne };

/// The items of the inside of a list, which begins at this character of the text.
fn split_items(inside: &str, at: usize) -> Result<Vec<Piece<'_>>, Remark> {
    if inside.trim().is_empty() {
        return Ok(Vec::new());
    }
    Piece { text: inside, at }.split(&LIST).map_err(|flaw| format!("; {flaw}"))
}

#[cfg(test)]
mod tests {
    use super::integer;
    use crate::config::{FieldType, Value};

    /// A text in a list is quoted, in a list of texts that may be absent too.
    #[test]
    fn lists_of_optional_texts_are_read_back() {
        let kind = Vec::<Option<String>>::kind();
        for (items, text) in [
            (vec![Some("a"), None, Some("b c")], "[a,null,b c]"),
            (vec![Some("a,b"), None], "['a,b',null]"),
            (vec![Some("")], "['']"),
            (vec![Some("]")], "[']']"),
        ] {
            let value = Value::from_iter(items);
            assert_eq!(kind.to_text(&value), text);
            assert_eq!(kind.parse(text), Ok(value));
        }
    }

    #[test]
    fn integers_are_exact() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("007", 7),
            ("1e3", 1000),
            ("1.5e3", 1500),
            ("10.0", 10),
            ("120e-1", 12),
            ("-2E2", -200),
            ("+5", 5),
            ("18446744073709551615", u64::MAX.into()),
            ("0e999999999", 0),
        ] {
            assert_eq!(integer(text), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "1.5", "1e-1", "1e", "e3", "1_000", "0x10", "1e400", "--1", "١", "1 "] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
