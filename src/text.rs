//! Values as text, for command lines and files: `name(item, item)`. One reader for all, over the lexer of the recalls.
use std::fmt;

use ihead_formula::lex::Scanner;
pub(crate) use ihead_formula::lex::Token;

use crate::{Error, Result};

/// The most numbers that ranges stand for: a typing error should not fill the memory.
const MOST: usize = 1 << 20;

/// A number as it is written into a text: with an exponent where it would otherwise be a long row of zeros, as 1e300 is.
pub(crate) struct Number(pub f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Numbers of 17 digits from 1e-5 to 1e23 are not longer.
        const LONG: usize = 24;
        let plain = self.0.to_string();
        if plain.trim_start_matches('-').len() <= LONG {
            f.write_str(&plain)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

/// A text that is read from left to right.
pub(crate) struct Reader<'a> {
    /// What the text should be: `timeline`.
    kind: &'static str,
    text: &'a str,
    scanner: Scanner<'a>,
}

impl<'a> Reader<'a> {
    /// At the beginning of a text.
    pub fn new(kind: &'static str, text: &'a str) -> Self {
        Reader { kind, text, scanner: Scanner::new(text) }
    }

    /// What `read` makes of a whole text; `expected` could stand where it goes on instead of ending.
    pub fn whole<T>(
        kind: &'static str,
        text: &'a str,
        read: impl FnOnce(&mut Self) -> Result<T>,
        expected: &str,
    ) -> Result<T> {
        let mut reader = Reader::new(kind, text);
        let value = read(&mut reader)?;
        if reader.token() == Token::End { Ok(value) } else { Err(reader.misfit(expected)) }
    }

    /// Where the reader is, for [`misfit_at`](Self::misfit_at).
    pub fn place(&self) -> usize {
        self.scanner.place()
    }

    /// The token that is next.
    pub fn token(&self) -> Token<'a> {
        self.scanner.token()
    }

    /// Whether this sign is next.
    pub fn is_at(&self, sign: &str) -> bool {
        matches!(self.scanner.token(), Token::Sign(next) if next == sign)
    }

    /// Whether this sign is next; then goes on behind it.
    pub fn take(&mut self, sign: &str) -> bool {
        self.scanner.take(sign)
    }

    /// Goes on behind this sign.
    pub fn sign(&mut self, sign: &str, expected: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.misfit(expected)) }
    }

    /// Whether this name is next; then goes on behind it.
    pub fn take_name(&mut self, name: &str) -> bool {
        let there = matches!(self.scanner.token(), Token::Name(next) if next == name);
        if there {
            self.scanner.advance();
        }
        there
    }

    /// A name, a pattern of names or whatever else is up to white space, a bracket, `,`, `=` or `:`.
    pub fn word(&mut self, expected: &str) -> Result<&'a str> {
        let place = self.place();
        self.scanner.word().ok_or_else(|| self.misfit_at(place, expected))
    }

    /// A word of which `read` makes something.
    pub fn read<T>(&mut self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let place = self.place();
        let value = self.scanner.word().and_then(read);
        value.ok_or_else(|| self.misfit_at(place, expected))
    }

    /// A finite number.
    pub fn number(&mut self, expected: &str) -> Result<f64> {
        self.read(expected, |word| word.parse().ok().filter(|x: &f64| x.is_finite()))
    }

    /// A count, where one is next.
    pub fn take_count(&mut self) -> Option<usize> {
        let Token::Number(text) = self.scanner.token() else { return None };
        let count = text.parse().ok()?;
        self.scanner.advance();
        Some(count)
    }

    /// A count.
    pub fn count(&mut self, expected: &str) -> Result<usize> {
        self.take_count().ok_or_else(|| self.misfit(expected))
    }

    /// Counts and ranges of them (`START..END`, without the end) between commas: `0, 2..4`.
    pub fn counts<T: TryFrom<usize>>(&mut self, expected: &str) -> Result<Vec<T>> {
        let mut counts = Vec::new();
        self.list(|reader| {
            let place = reader.place();
            let start = reader.count(expected)?;
            let range = if reader.take("..") {
                start..reader.count(expected)?
            } else {
                start..start.saturating_add(1)
            };
            if range.is_empty() || range.len() > MOST - counts.len() {
                return Err(
                    reader.misfit_at(place, &format!("a range of 1 to {MOST} numbers, not {range:?}"))
                );
            }
            for count in range {
                counts.push(T::try_from(count).map_err(|_| reader.misfit_at(place, expected))?);
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// One item, and one behind each comma.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Finite numbers between commas up to a `)`, which is taken.
    pub fn numbers(&mut self, expected: &str) -> Result<Vec<f64>> {
        let numbers = self.list(|reader| reader.number(expected))?;
        self.sign(")", expected)?;
        Ok(numbers)
    }

    /// So many of them.
    pub fn exactly<const N: usize>(&mut self, expected: &str) -> Result<[f64; N]> {
        let place = self.place();
        let numbers = self.numbers(expected)?;
        numbers.try_into().map_err(|_| self.misfit_at(place, expected))
    }

    /// A word that is none of the `known` ones: the nearest is in the message, or all of them if none is near.
    pub fn unknown<'k>(
        &self,
        kind: &'static str,
        (place, name): (usize, &str),
        known: impl IntoIterator<Item = &'k str>,
    ) -> Error {
        let known: Vec<&str> = known.into_iter().collect();
        let error = Error::unknown(kind, name, known.iter().copied());
        match &error {
            Error::Unknown { nearest: None, .. } => {
                self.misfit_at(place, &format!("one of {}", known.join(", ")))
            }
            _ => error,
        }
    }

    /// Something else than `expected` is next.
    pub fn misfit(&self, expected: &str) -> Error {
        Error::text(self.kind, self.text, self.scanner.problem(expected))
    }

    /// Something else than `expected` is at this place.
    pub fn misfit_at(&self, place: usize, expected: &str) -> Error {
        Error::text(self.kind, self.text, self.scanner.problem_at(place, expected))
    }
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
                text.parse().map_err(|error: $crate::Error| error.in_setting())
            }

            fn to_json(&self) -> serde_json::Value {
                self.to_string().into()
            }
        }
    };
}
pub(crate) use setting_as_text;

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn a_number_that_is_far_from_1_is_written_with_an_exponent() {
        let written = |number: f64| Number(number).to_string();
        assert_eq!(
            [1.0, -0.25, 1e-6, 1e20].map(written),
            ["1", "-0.25", "0.000001", "100000000000000000000"]
        );
        assert_eq!([1e300, -1.5e300, 1e-300].map(written), ["1e300", "-1.5e300", "1e-300"]);
        for number in [0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0 * 1e-5] {
            assert_eq!(written(number).parse(), Ok(number));
        }
        let text = "0: scale(output.weight, 1e300), 0: edit(layers.0.out=row(1e300, -1))";
        assert_eq!(
            text.parse::<crate::train::Timeline>().map(|timeline| timeline.to_string()).unwrap(),
            text
        );
    }
}
