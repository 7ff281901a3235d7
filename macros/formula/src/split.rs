//! Texts that are cut into pieces at a separator, outside of brackets and quotes: lists of values and the axes of sweeps.
//!
//! A text is read once, from left to right, so that time is linear in its length.
use std::fmt;

/// A part of a text, without white space around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<'a> {
    /// The text of the part.
    pub text: &'a str,
    /// The place of its first character in the whole text, from 1.
    pub at: usize,
}

/// How a text is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The character that separates pieces.
    pub separator: char,
    /// Opening brackets, each with the one that closes it.
    pub brackets: &'static [(char, char)],
    /// The characters behind which a quote opens, as it does at the beginning of a piece; elsewhere, as in `it's`, it is a
    /// letter.
    pub before_quotes: &'static [char],
    /// Whether a doubled quote within quotes is one that does not close them.
    pub doubled: Doubled,
}

/// What a doubled quote within quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubled {
    /// A quote: `'it''s'` is one text.
    IsOne,
    /// The end of the quotes, and a letter.
    Closes,
}

/// Why a text cannot be cut, and at which character, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flaw {
    /// What is wrong there.
    pub kind: FlawKind,
    /// The place of the character, from 1.
    pub at: usize,
}

/// What is wrong with a text that is to be cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FlawKind {
    /// A quote that is not closed.
    Quote,
    /// A bracket that is not closed.
    Open(char),
    /// A bracket that closes none, or another than the last one.
    Close(char),
    /// A piece without text.
    Empty,
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlawKind::Quote => f.write_str("a quote is not closed"),
            FlawKind::Open(bracket) => write!(f, "a '{bracket}' is not closed"),
            FlawKind::Close(bracket) => write!(f, "a '{bracket}' closes nothing"),
            FlawKind::Empty => f.write_str("an item is empty"),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at character {}", self.kind, self.at)
    }
}

impl<'a> Piece<'a> {
    /// Returns the whole of a text as one piece, without white space around it.
    pub fn of(text: &'a str) -> Self {
        Piece { text, at: 1 }.trimmed()
    }

    /// Returns what is left of the piece behind its first `byte` bytes.
    ///
    /// # Panics
    /// If `byte` is beyond the end, or inside a character.
    ///
    /// ```
    /// # use ihead_formula::split::Piece;
    /// assert_eq!(Piece::of(" k = 1").from(3), Piece { text: "1", at: 6 });
    /// ```
    pub fn from(self, byte: usize) -> Self {
        let skipped = self.text[..byte].chars().count();
        Piece { text: &self.text[byte..], at: self.at + skipped }.trimmed()
    }

    fn trimmed(self) -> Self {
        let start = self.text.trim_start();
        let skipped = self.text[..self.text.len() - start.len()].chars().count();
        Piece { text: start.trim_end(), at: self.at + skipped }
    }

    /// Returns the pieces between separators, each without white space around it.
    ///
    /// # Errors
    /// If a bracket or a quote is not closed, a bracket closes nothing, or a piece is empty.
    ///
    /// ```
    /// # use ihead_formula::split::{Cut, Doubled, Piece};
    /// let list = Cut { separator: ',', brackets: &[('[', ']')], before_quotes: &[',', '['], doubled: Doubled::IsOne };
    /// let texts = |text| Piece::of(text).split(&list).map(|pieces| pieces.iter().map(|p| p.text).collect::<Vec<_>>());
    /// assert_eq!(texts("1, [2, 3], 'a, b', it's").unwrap(), ["1", "[2, 3]", "'a, b'", "it's"]);
    /// assert_eq!(texts("1, [2, 3").unwrap_err().to_string(), "a '[' is not closed, at character 4");
    /// ```
    pub fn split(self, cut: &Cut) -> Result<Vec<Piece<'a>>, Flaw> {
        self.cut(cut).0
    }

    /// The same, with the number of characters that were looked at.
    fn cut(self, cut: &Cut) -> (Result<Vec<Piece<'a>>, Flaw>, usize) {
        let (mut pieces, mut start, mut begun) = (Vec::new(), 0, self.at);
        let mut open: Vec<(char, char, usize)> = Vec::new();
        let mut quote: Option<(char, usize)> = None;
        let (mut begins, mut looked) = (true, 0);
        let mut symbols = self.text.char_indices().peekable();
        while let Some((byte, symbol)) = symbols.next() {
            let at = self.at + looked;
            looked += 1;
            let began = begins;
            begins = symbol == cut.separator
                || cut.before_quotes.contains(&symbol)
                || began && symbol.is_whitespace();
            match quote {
                Some((mark, _)) if mark == symbol => {
                    let again = symbols.next_if(|(_, next)| cut.doubled == Doubled::IsOne && *next == mark);
                    looked += usize::from(again.is_some());
                    if again.is_none() {
                        quote = None;
                    }
                }
                Some(_) => {}
                None if matches!(symbol, '\'' | '"') && began => quote = Some((symbol, at)),
                None if symbol == cut.separator && open.is_empty() => {
                    pieces.push(Piece { text: &self.text[start..byte], at: begun });
                    (start, begun) = (byte + symbol.len_utf8(), at + 1);
                }
                None => {
                    if let Some((opens, closes)) = cut.brackets.iter().find(|(opens, _)| *opens == symbol) {
                        open.push((*opens, *closes, at));
                    } else if cut.brackets.iter().any(|(_, closes)| *closes == symbol)
                        && open.pop().is_none_or(|(_, closes, _)| closes != symbol)
                    {
                        return (Err(Flaw { kind: FlawKind::Close(symbol), at }), looked);
                    }
                }
            }
        }
        if let Some((_, at)) = quote {
            return (Err(Flaw { kind: FlawKind::Quote, at }), looked);
        }
        if let Some((opens, _, at)) = open.pop() {
            return (Err(Flaw { kind: FlawKind::Open(opens), at }), looked);
        }
        pieces.push(Piece { text: &self.text[start..], at: begun });
        let pieces: Vec<Piece<'a>> = pieces.into_iter().map(Piece::trimmed).collect();
        let empty = pieces.iter().find(|piece| piece.text.is_empty()).map(|piece| piece.at);
        (empty.map_or(Ok(pieces), |at| Err(Flaw { kind: FlawKind::Empty, at })), looked)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Doubled, Flaw, FlawKind, Piece};

    const CUT: Cut = Cut {
        separator: ',',
        brackets: &[('[', ']'), ('(', ')')],
        before_quotes: &[',', '[', '('],
        doubled: Doubled::IsOne,
    };

    #[test]
    fn pieces_know_where_they_are() {
        let pieces = Piece::of("  ä, (b,[c]) ,'d,''e'").split(&CUT).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.at).collect::<Vec<_>>(), [3, 6, 15]);
        assert_eq!(pieces[2].text, "'d,''e'");
        let closes = Cut { doubled: Doubled::Closes, ..CUT };
        assert_eq!(Piece::of("'d,''e,f'").split(&closes).unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let flaw = |text| Piece::of(text).split(&CUT).unwrap_err();
        assert_eq!(flaw("a,[b,(c]"), Flaw { kind: FlawKind::Close(']'), at: 8 });
        assert_eq!(flaw("a)"), Flaw { kind: FlawKind::Close(')'), at: 2 });
        assert_eq!(flaw("ä,[b"), Flaw { kind: FlawKind::Open('['), at: 3 });
        assert_eq!(flaw("a, 'b"), Flaw { kind: FlawKind::Quote, at: 4 });
        assert_eq!(flaw("a, ,b"), Flaw { kind: FlawKind::Empty, at: 4 });
    }

    #[test]
    fn each_character_is_looked_at_once() {
        for unit in ["a,", "'a,b',", "[(a),", "' ", "  ", "''", "it's,"] {
            for n in [1, 1000] {
                let text = format!("x{}", unit.repeat(n));
                let (_, looked) = Piece { text: &text, at: 1 }.cut(&CUT);
                assert_eq!(looked, text.chars().count(), "{unit}");
            }
        }
    }
}
