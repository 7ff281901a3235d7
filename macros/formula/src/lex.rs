//! The one lexer of all small languages of the library: recalls, edits, timelines, schedules, optimisers, ranges of a
//! sweep. What is verbatim between separators, as the texts of a list, is cut by [`crate::split`].
//!
//! It reads a text from left to right, holds one token, and copies nothing: time is linear in the length of the text and
//! memory does not depend on it.
use std::fmt;

use crate::Problem;

/// A token of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// A name: letters, digits, `_`, `-`, and dots within.
    Name(&'a str),
    /// A number without a sign, as it is written.
    Number(&'a str),
    /// One of the signs of the languages, such as `->` or `(`.
    Sign(&'static str),
    /// A character that none of the languages has.
    Other(char),
    /// The end of the text.
    End,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 17] =
    ["->", "=>", "..", ":", "~", "+", "(", ")", "{", "}", "[", "]", ",", "?", "/", "-", "="];

/// What ends a [word](Scanner::word), beside white space.
const ENDS_A_WORD: [char; 9] = ['(', ')', '[', ']', '{', '}', ',', '=', ':'];

/// The most characters of a token that a message repeats.
const SHOWN: usize = 40;

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Name(text) | Token::Number(text) => match text.char_indices().nth(SHOWN) {
                Some((end, _)) => write!(f, "`{}...`", &text[..end]),
                None => write!(f, "`{text}`"),
            },
            Token::Sign(sign) => write!(f, "`{sign}`"),
            Token::Other(character) => write!(f, "`{}`", character.escape_debug()),
            Token::End => write!(f, "the end"),
        }
    }
}

/// A text that is read from left to right, token by token. It holds the next token.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    /// The byte at which the token begins.
    start: usize,
    /// The byte behind it.
    end: usize,
    token: Token<'a>,
    /// Bytes that were looked at.
    #[cfg(test)]
    looked: usize,
}

impl<'a> Scanner<'a> {
    /// Begins at the first token of a text.
    pub fn new(text: &'a str) -> Self {
        let mut scanner = Scanner {
            text,
            start: 0,
            end: 0,
            token: Token::End,
            #[cfg(test)]
            looked: 0,
        };
        scanner.advance();
        scanner
    }

    /// Returns the next token.
    pub fn token(&self) -> Token<'a> {
        self.token
    }

    /// Returns the place of the next token, for [`problem_at`](Self::problem_at).
    pub fn place(&self) -> usize {
        self.start
    }

    /// Goes on behind the next token.
    pub fn advance(&mut self) {
        self.go_to(self.end);
    }

    /// Goes on behind `sign` if it is the next token, and returns whether it was.
    pub fn take(&mut self, sign: &str) -> bool {
        let there = matches!(self.token, Token::Sign(next) if next == sign);
        if there {
            self.advance();
        }
        there
    }

    /// Takes the characters up to white space, a bracket, `,`, `=` or `:`, such as a name with `*` in it or a signed
    /// number, and goes on behind them; `None` if there are none.
    pub fn word(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.start..];
        let end = rest.find(|c: char| c.is_whitespace() || ENDS_A_WORD.contains(&c)).unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        #[cfg(test)]
        {
            self.looked += end;
        }
        self.go_to(self.start + end);
        Some(&rest[..end])
    }

    /// Returns the problem that something else than `expected` is next.
    pub fn problem(&self, expected: impl Into<String>) -> Problem {
        self.problem_at(self.start, expected)
    }

    /// Returns the problem that something else than `expected` is at an earlier [place](Self::place).
    pub fn problem_at(&self, place: usize, expected: impl Into<String>) -> Problem {
        let (found, _) = token_of(&self.text[place..]);
        let at = self.text[..place].chars().count() + 1;
        Problem { at, expected: expected.into(), found: found.to_string() }
    }

    /// The token that begins at this byte or behind white space there.
    fn go_to(&mut self, at: usize) {
        let rest = self.text[at..].trim_start();
        self.start = self.text.len() - rest.len();
        let (token, length) = token_of(rest);
        (self.token, self.end) = (token, self.start + length);
        #[cfg(test)]
        {
            self.looked += self.end - at;
        }
    }
}

/// The token with which a text begins, and its bytes.
fn token_of(text: &str) -> (Token<'_>, usize) {
    let Some(first) = text.chars().next() else { return (Token::End, 0) };
    if first.is_alphabetic() || first == '_' {
        let length = name_length(text);
        (Token::Name(&text[..length]), length)
    } else if first.is_ascii_digit() {
        let length = number_length(text);
        (Token::Number(&text[..length]), length)
    } else if let Some(sign) = SIGNS.into_iter().find(|sign| text.starts_with(sign)) {
        (Token::Sign(sign), sign.len())
    } else {
        (Token::Other(first), first.len_utf8())
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

#[cfg(test)]
mod tests {
    use super::{Scanner, Token};

    #[test]
    fn tokens_and_words_are_read_from_the_same_place() {
        let mut scanner = Scanner::new(" layers.*.wk=scale( -1e-3 )  ");
        assert_eq!(scanner.token(), Token::Name("layers"));
        assert_eq!(scanner.word(), Some("layers.*.wk"));
        assert!(scanner.take("=") && !scanner.take("="));
        assert_eq!((scanner.word(), scanner.word()), (Some("scale"), None));
        assert!(scanner.take("("));
        assert_eq!(scanner.token(), Token::Sign("-"));
        assert_eq!(scanner.word(), Some("-1e-3"));
        assert!(scanner.take(")"));
        assert_eq!((scanner.token(), scanner.word()), (Token::End, None));
    }

    #[test]
    fn each_byte_is_looked_at_no_more_than_three_times() {
        for unit in ["layers.*.wk=scale(-1e-3), ", "a-b.c ", "a-", "..", "1.5e", "*", "ä  ", "1..=8,"] {
            for n in [1, 10, 1000] {
                let text = unit.repeat(n);
                let mut scanner = Scanner::new(&text);
                for word in [false, true].into_iter().cycle() {
                    match scanner.token() {
                        Token::End => break,
                        _ if word && scanner.word().is_some() => {}
                        _ => scanner.advance(),
                    }
                }
                assert!(scanner.looked <= 3 * text.len(), "{unit}: {} of {}", scanner.looked, text.len());
            }
        }
    }

    #[test]
    fn a_place_is_said_in_characters() {
        let mut scanner = Scanner::new("häß ö");
        scanner.advance();
        assert_eq!(scanner.problem("x").to_string(), "expected x, found `ö` at character 5");
        let long = "a".repeat(1000);
        let said = Scanner::new(&long).problem("x").to_string();
        assert_eq!(said, format!("expected x, found `{}...` at character 1", "a".repeat(40)));
        assert_eq!(
            Scanner::new("\u{1b}").problem("x").to_string(),
            "expected x, found `\\u{1b}` at character 1"
        );
    }
}
