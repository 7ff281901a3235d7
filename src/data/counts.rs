//! How often each character and each pair of neighbours occurs in a text.

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

/// The most distinct characters that a text may have: a pair table of 512 MB.
const MAX_CHARACTERS: usize = 8192;

/// How often each character and each pair of neighbouring characters occurs in a text. The characters, in order of code point,
/// are the tokens `0..vocab`.
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
    /// The text of each token, `[vocab]`.
    pub tokens: Vec<String>,
    /// How often each token occurs, `[vocab]`.
    pub unigrams: Vec<u64>,
    /// How often token `j` follows token `i`: `bigrams[i][j]`, `[vocab, vocab]`.
    pub bigrams: Vec<Vec<u64>>,
}

impl Counts {
    /// Returns the built-in counts: those of Tiny Shakespeare, which has 65 characters.
    pub fn tiny_shakespeare() -> Self {
        serde_json::from_str(include_str!("tiny_shakespeare_counts.json"))
            .expect("the built-in file is checked by a test")
    }

    /// Counts the characters of a UTF-8 file. Every character counts, also line ends and a byte order mark.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, or [`Counts::of`] refuses its text.
    pub fn from_text(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut file = crate::io::open(path)?;
        let mut counter = Counter::new();
        // a chunk at a time: characters that are not whole yet stay at the front
        let mut chunk = vec![0; 1 << 16];
        let (mut held, mut before) = (0, 0);
        let misplaced = |at: usize| Error::format(path, format!("not UTF-8 text: byte {at} is out of place"));
        loop {
            let read = match file.read(&mut chunk[held..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(|e| Error::io("read", path, e))?,
            };
            let filled = held + read;
            let whole = match std::str::from_utf8(&chunk[..filled]) {
                Err(error) if error.error_len().is_some() || read == 0 => {
                    return Err(misplaced(before + error.valid_up_to()));
                }
                Err(error) => error.valid_up_to(),
                Ok(_) => filled,
            };
            counter.add(std::str::from_utf8(&chunk[..whole]).unwrap_or_default());
            if read == 0 {
                break;
            }
            chunk.copy_within(whole..filled, 0);
            (held, before) = (filled - whole, before + whole);
        }
        counter.finish().map_err(|e| Error::format(path, e.to_string()))
    }

    /// Counts the characters of `text`.
    ///
    /// # Errors
    /// The text is empty, has one distinct character or more than 8192, or its last character occurs nowhere else
    /// (nothing follows it then, so that it would have no successor to draw).
    pub fn of(text: &str) -> Result<Self> {
        let mut counter = Counter::new();
        counter.add(text);
        counter.finish()
    }
}

/// Counts that grow with the text; tokens are in the order in which they first occur.
struct Counter {
    /// The token of a character, plus one; 0 for one that did not occur.
    tokens: Vec<u32>,
    characters: Vec<char>,
    unigrams: Vec<u64>,
    /// Each row as long as it must be.
    bigrams: Vec<Vec<u64>>,
    previous: Option<usize>,
}

impl Counter {
    fn new() -> Self {
        let tokens = vec![0; char::MAX as usize + 1];
        Counter { tokens, characters: vec![], unigrams: vec![], bigrams: vec![], previous: None }
    }

    fn add(&mut self, text: &str) {
        for character in text.chars() {
            let known = &mut self.tokens[character as usize];
            if *known == 0 {
                self.characters.push(character);
                *known = self.characters.len() as u32;
                self.unigrams.push(0);
                self.bigrams.push(vec![]);
            }
            let token = *known as usize - 1;
            self.unigrams[token] += 1;
            if let Some(previous) = self.previous.replace(token)
                && self.characters.len() <= MAX_CHARACTERS
            {
                let row = &mut self.bigrams[previous];
                if row.len() <= token {
                    row.resize(token + 1, 0);
                }
                row[token] += 1;
            }
        }
    }

    fn finish(mut self) -> Result<Counts> {
        let vocab = self.characters.len();
        match vocab {
            0 => return Err(Error::value("text", "empty", "at least two distinct characters")),
            1 => {
                let only = format!("{:?} alone, repeated", self.characters[0]);
                return Err(Error::value("text", only, "at least two distinct characters"));
            }
            2..=MAX_CHARACTERS => {}
            _ => {
                let found = format!("{vocab} distinct characters");
                return Err(Error::value("text", found, format!("at most {MAX_CHARACTERS}")));
            }
        }
        if let Some(last) = self.previous.filter(|last| self.unigrams[*last] == 1) {
            let character = self.characters[last];
            let found =
                format!("{character:?} occurs only as the last character, so nothing ever follows it");
            return Err(Error::value("text", found, "a text without it, or one that goes on"));
        }
        let mut order: Vec<usize> = (0..vocab).collect();
        order.sort_unstable_by_key(|token| self.characters[*token]);
        let mut sorted = |from: usize| -> Vec<u64> {
            let row = std::mem::take(&mut self.bigrams[from]);
            order.iter().map(|to| row.get(*to).copied().unwrap_or(0)).collect()
        };
        Ok(Counts {
            bigrams: order.iter().map(|from| sorted(*from)).collect(),
            tokens: order.iter().map(|token| self.characters[*token].to_string()).collect(),
            unigrams: order.iter().map(|token| self.unigrams[*token]).collect(),
        })
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
        assert_eq!(message(""), "text: empty; expected at least two distinct characters");
        assert_eq!(message("aaa"), "text: 'a' alone, repeated; expected at least two distinct characters");
        assert_eq!(
            message("abaz"),
            "text: 'z' occurs only as the last character, so nothing ever follows it; expected a text without it, or one that goes on"
        );
        let every: String = (0..=0x3000).filter_map(char::from_u32).collect();
        assert_eq!(message(&every), "text: 12289 distinct characters; expected at most 8192");
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

    /// Chunks of 65536 bytes end within characters of two and three bytes.
    #[test]
    fn a_long_file_is_counted_as_its_text() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("long.txt");
        let text = "a\u{e9}b\u{20ac}".repeat(50_000);
        std::fs::write(&path, &text)?;
        assert_eq!(Counts::from_text(&path).expect("counted"), Counts::of(&text).expect("counted"));
        let mut cut = text.into_bytes();
        cut.pop();
        std::fs::write(&path, &cut)?;
        let message = Counts::from_text(&path).expect_err("refused").to_string();
        assert_eq!(message, format!("{}: not UTF-8 text: byte 349997 is out of place", path.display()));
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_device_that_never_ends_is_refused() {
        let message = Counts::from_text("/dev/zero").expect_err("refused").to_string();
        assert_eq!(message, "/dev/zero: a device; expected a file or a pipe");
    }
}
