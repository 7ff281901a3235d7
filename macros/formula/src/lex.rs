//! Words, numbers and signs.
use crate::Problem;

/// A word of the language.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name: letters, digits, `_`, `-`, and dots within.
    Name(String),
    /// A number, as it is written.
    Number(String),
    /// One of [`SIGNS`].
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 14] = ["->", "=>", "..", ":", "~", "+", "(", ")", "{", "}", ",", "?", "/", "-"];

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Name(text) | Token::Number(text) => write!(f, "`{text}`"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
            Token::End => write!(f, "the end"),
        }
    }
}

/// The words of a text, each with its character, counted from 1; the last is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.chars().count() - rest.chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            tokens.push((at, Token::End));
            return Ok(tokens);
        };
        let (token, length) = if first.is_alphabetic() || first == '_' {
            let length = name_length(rest);
            (Token::Name(rest[..length].into()), length)
        } else if first.is_ascii_digit() {
            let length = number_length(rest);
            (Token::Number(rest[..length].into()), length)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            return Err(Problem { at, message: format!("no formula has a `{first}`, found one") });
        };
        tokens.push((at, token));
        rest = &rest[length..];
    }
}

/// A dot or a hyphen belongs to a name only where the name goes on behind it.
fn name_length(text: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let mut length = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let goes_on = characters.peek().is_some_and(|(_, next)| part(*next));
        if !(part(c) || matches!(c, '.' | '-') && goes_on) {
            break;
        }
        length = at + c.len_utf8();
    }
    length
}

/// Digits, and a fraction or an exponent where digits follow: `0..64` is two numbers.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if text[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['-', '+']));
        if digits(length + 1 + sign) > 0 {
            length += 1 + sign + digits(length + 1 + sign);
        }
    }
    length
}
