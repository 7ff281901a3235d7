//! How often each character and each pair of neighbours occurs in a text.

use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

/// The most distinct characters that a text may have: a pair table of 512 MB.
const MAX_CHARACTERS: usize = 8192;

/// Character and pair counts of a text; the characters, in order of code point, are tokens `0..vocab`.
///
/// ```
/// use ihead::data::Counts;
/// # fn main() -> ihead::Result<()> {
/// let counts = Counts::of("abab")?;
/// assert_eq!(counts.tokens, ["a", "b"]);
/// assert_eq!((counts.unigrams, counts.bigrams), (vec![2, 2], vec![vec![0, 2], vec![1, 0]]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// The token's text, `[vocab]`.
    pub tokens: Vec<String>,
    /// Occurrences of each token, `[vocab]`.
    pub unigrams: Vec<u64>,
    /// `bigrams[i][j]`: how often `j` follows `i`, `[vocab, vocab]`.
    pub bigrams: Vec<Vec<u64>>,
}

impl Counts {
    /// The built-in counts: Tiny Shakespeare, 65 characters.
    pub fn tiny_shakespeare() -> Self {
        serde_json::from_str(include_str!("tiny_shakespeare_counts.json"))
            .expect("the built-in file is checked by a test")
    }

    /// Counts of a UTF-8 file. Every character counts, line ends and a byte order mark too.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, or [`Counts::of`] refuses its text.
    pub fn from_text(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            Error::format(path, format!("not UTF-8 text: byte {} is out of place", e.valid_up_to()))
        })?;
        Self::of(text).map_err(|e| Error::format(path, e.to_string()))
    }

    /// Counts of `text`.
    ///
    /// # Errors
    /// The text is empty, has one distinct character or more than 8192, or its last character occurs nowhere else
    /// (nothing follows it then, so that it would have no successor to draw).
    pub fn of(text: &str) -> Result<Self> {
        let mut characters: Vec<char> = text.chars().collect();
        let last = characters.last().copied();
        characters.sort_unstable();
        characters.dedup();
        let vocab = characters.len();
        match vocab {
            0 => return Err(Error::usage("the text is empty; expected at least two distinct characters")),
            1 => {
                let only = format!("the text repeats {:?} alone", characters[0]);
                return Err(Error::usage(format!("{only}; expected at least two distinct characters")));
            }
            2..=MAX_CHARACTERS => {}
            _ => {
                let found = format!("the text has {vocab} distinct characters");
                return Err(Error::usage(format!("{found}; expected at most {MAX_CHARACTERS}")));
            }
        }
        let mut unigrams = vec![0; vocab];
        let mut bigrams = vec![vec![0; vocab]; vocab];
        let mut previous = None;
        for character in text.chars() {
            let token = characters.partition_point(|c| *c < character);
            unigrams[token] += 1;
            if let Some(previous) = previous.replace(token) {
                bigrams[previous][token] += 1;
            }
        }
        if let (Some(character), Some(1)) = (last, previous.map(|token| unigrams[token])) {
            return Err(Error::usage(format!(
                "{character:?} occurs only as the last character, so nothing ever follows it; remove it or let the text go on"
            )));
        }
        Ok(Self { tokens: characters.iter().map(char::to_string).collect(), unigrams, bigrams })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_counts_are_those_of_the_paper_s_text() {
        let counts = Counts::tiny_shakespeare();
        assert_eq!((counts.tokens.len(), counts.unigrams.len(), counts.bigrams.len()), (65, 65, 65));
        assert_eq!(counts.unigrams.iter().sum::<u64>(), 1_115_394);
        assert_eq!(counts.bigrams.iter().flatten().sum::<u64>(), 1_115_393);
        assert!(counts.tokens.is_sorted());
    }

    #[test]
    fn a_text_that_cannot_be_counted_is_refused_by_name() {
        let message = |text: &str| Counts::of(text).expect_err("refused").to_string();
        assert_eq!(message(""), "the text is empty; expected at least two distinct characters");
        assert_eq!(message("aaa"), "the text repeats 'a' alone; expected at least two distinct characters");
        assert_eq!(
            message("abaz"),
            "'z' occurs only as the last character, so nothing ever follows it; remove it or let the text go on"
        );
        let every: String = (0..=0x3000).filter_map(char::from_u32).collect();
        assert_eq!(message(&every), "the text has 12289 distinct characters; expected at most 8192");
    }

    #[test]
    fn files_that_are_missing_or_not_text_are_named() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("own.txt");
        let message = || Counts::from_text(&path).expect_err("refused").to_string();
        assert!(message().starts_with(&format!("cannot read {}: ", path.display())));
        std::fs::write(&path, b"ab\xff")?;
        assert_eq!(message(), format!("{}: not UTF-8 text: byte 2 is out of place", path.display()));
        std::fs::write(&path, "\u{e9}\u{e0}\u{e9}\n\n")?;
        let counts = Counts::from_text(&path).expect("counted");
        assert_eq!(counts.tokens, ["\n", "\u{e0}", "\u{e9}"]);
        assert_eq!(counts.bigrams, [[1, 0, 0], [0, 0, 1], [1, 1, 0]]);
        Ok(())
    }
}
