//! From tokens to a recall.
use std::collections::HashSet;

use crate::lex::{Scanner, Token};
use crate::{Association, Problem, Recall, Rows, Rule, Source, Step};

/// The most things of one association: a typing error should not fill the memory.
const MOST: usize = 1 << 20;

/// The most parentheses inside each other.
const DEEPEST: usize = 64;

/// Reads one text.
pub(crate) struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

type Parsed<T> = Result<T, Problem>;

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser { scanner: Scanner::new(text), depth: 0 }
    }

    pub fn recall(mut self) -> Parsed<Recall> {
        let name = self.name("a recall's name, as in `copies: tok_embeddings -> output => self`")?;
        self.sign(":", "`:` after the recall's name")?;
        let inputs = self.rows()?;
        let keys = if self.take("~") { Some(self.rows()?) } else { None };
        if keys.is_none() && self.scanner.token() == Token::Sign(":") {
            return Err(self.unexpected("one name before the rows"));
        }
        self.sign("=>", "`->` and a map, `+` or `~` and more rows, or `=>` and what should be recalled")?;
        let association = self.association()?;
        self.end("`among` or the end")?;
        Ok(Recall { name: name.into(), inputs, keys, association })
    }

    pub fn only_rows(mut self) -> Parsed<Rows> {
        let rows = self.rows()?;
        self.end("`->` and a map, `+` and more rows, or the end")?;
        Ok(rows)
    }

    pub fn only_association(mut self) -> Parsed<Association> {
        let association = self.association()?;
        self.end("`among` or the end")?;
        Ok(association)
    }

    fn rows(&mut self) -> Parsed<Rows> {
        let first = self.path()?;
        let mut paths = vec![first];
        while self.take("+") {
            paths.push(self.path()?);
        }
        Ok(if paths.len() == 1 {
            paths.remove(0)
        } else {
            Rows { source: Source::Sum(paths), steps: Vec::new() }
        })
    }

    fn path(&mut self) -> Parsed<Rows> {
        let mut rows = if self.scanner.token() == Token::Sign("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.unexpected(&format!("at most {DEEPEST} parentheses inside each other")));
            }
            self.scanner.advance();
            let rows = self.rows()?;
            self.sign(")", "`)`")?;
            self.depth -= 1;
            rows
        } else {
            let table = self.name("a table's name, such as `tok_embeddings`, or `(`")?;
            Rows { source: Source::Table(table.into()), steps: Vec::new() }
        };
        while self.take("->") {
            rows.steps.push(self.step()?);
        }
        Ok(rows)
    }

    fn step(&mut self) -> Parsed<Step> {
        let place = self.scanner.place();
        let word = self.name("a weight's name or a step after `->`")?;
        match (word, self.take("(")) {
            ("relu", false) => Ok(Step::Relu),
            ("scale", true) => {
                let sign = if self.take("-") { -1.0 } else { 1.0 };
                let factor = sign * self.float("a number, as in `scale(0.5)`")?;
                self.sign(")", "`)`")?;
                Ok(Step::Scale(factor))
            }
            ("head", true) => {
                let head = self.integer("the head's number, as in `head(0/4)`")?;
                self.sign("/", "`/` and the number of heads, as in `head(0/4)`")?;
                let place = self.scanner.place();
                let heads = self.integer("the number of heads, as in `head(0/4)`")?;
                if head >= heads {
                    let expected = format!("more than {head} heads for head {head}");
                    return Err(self.scanner.problem_at(place, expected));
                }
                self.sign(")", "`)`")?;
                Ok(Step::Head { head, heads })
            }
            ("scale" | "head", false) => {
                Err(self.unexpected(&format!("`(` after `{word}`, as in `scale(0.5)` or `head(0/4)`")))
            }
            (_, true) => {
                let expected = "a weight's name, `relu`, `scale(x)` or `head(h/H)`";
                Err(self.scanner.problem_at(place, expected))
            }
            (_, false) if self.take("?") => Ok(Step::MapOrIdentity(word.into())),
            (_, false) => Ok(Step::Map(word.into())),
        }
    }

    fn association(&mut self) -> Parsed<Association> {
        const EXPECTED: &str = "`self`, `previous`, or pairs such as `{3: 1, 5: 2}`";
        let start = self.scanner.place();
        let rule = match self.scanner.token() {
            Token::Name("self") => Rule::Itself,
            Token::Name("previous") => Rule::Previous,
            Token::Sign("{") => Rule::Pairs(self.pairs()?),
            _ => return Err(self.unexpected(EXPECTED)),
        };
        if !matches!(rule, Rule::Pairs(_)) {
            self.scanner.advance();
        }
        let among = if self.scanner.token() == Token::Name("among") {
            self.scanner.advance();
            Some(self.things()?)
        } else {
            None
        };
        if let (Rule::Pairs(pairs), Some(among)) = (&rule, &among) {
            let candidates: HashSet<usize> = among.iter().copied().collect();
            if let Some((input, target)) = pairs.iter().find(|(_, target)| !candidates.contains(target)) {
                let expected = format!("the target {target} of {input} among the candidates");
                return Err(self.scanner.problem_at(start, expected));
            }
        }
        Ok(Association { rule, among })
    }

    fn pairs(&mut self) -> Parsed<Vec<(usize, usize)>> {
        self.sign("{", "`{`")?;
        let mut pairs = Vec::new();
        loop {
            let input = self.integer("an input's number, as in `{3: 1}`")?;
            self.sign(":", "`:` and the target of this input, as in `{3: 1}`")?;
            pairs.push((input, self.integer("a target's number, as in `{3: 1}`")?));
            if !self.take(",") {
                break;
            }
        }
        self.sign("}", "`,` and another pair, or `}`")?;
        Ok(pairs)
    }

    fn things(&mut self) -> Parsed<Vec<usize>> {
        let mut things = Vec::new();
        if !self.take("{") {
            if !self.thing(&mut things)? {
                return Err(self.unexpected("`..` of a range, as in `0..64`; single things are in braces"));
            }
            return Ok(things);
        }
        loop {
            self.thing(&mut things)?;
            if !self.take(",") {
                break;
            }
        }
        self.sign("}", "`,` and another number, or `}`")?;
        Ok(things)
    }

    /// A number or a range, and whether it was a range.
    fn thing(&mut self, things: &mut Vec<usize>) -> Parsed<bool> {
        let start = self.scanner.place();
        let first = self.integer("numbers, as in `{3, 5}` or `0..64`")?;
        let range = self.take("..");
        let end = if range { self.integer("the end of the range, as in `0..64`")? } else { first + 1 };
        if end <= first || end - first > MOST {
            let expected = format!("a range of 1 to {MOST} things, not {first}..{end}");
            return Err(self.scanner.problem_at(start, expected));
        }
        if things.len() + (end - first) > MOST {
            return Err(self.scanner.problem_at(start, format!("at most {MOST} things in all")));
        }
        things.extend(first..end);
        Ok(range)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        self.scanner.take(sign)
    }

    fn sign(&mut self, sign: &'static str, expected: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn name(&mut self, expected: &str) -> Parsed<&'a str> {
        let Token::Name(name) = self.scanner.token() else { return Err(self.unexpected(expected)) };
        self.scanner.advance();
        Ok(name)
    }

    /// Less than the greatest, so that the next one can be counted.
    fn integer(&mut self, expected: &str) -> Parsed<usize> {
        self.number(expected, |text| text.parse().ok().filter(|number| *number < usize::MAX))
    }

    fn float(&mut self, expected: &str) -> Parsed<f64> {
        self.number(expected, |text| text.parse().ok().filter(|number: &f64| number.is_finite()))
    }

    fn number<T>(&mut self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let found = if let Token::Number(text) = self.scanner.token() { read(text) } else { None };
        let number = found.ok_or_else(|| self.unexpected(expected))?;
        self.scanner.advance();
        Ok(number)
    }

    fn end(&self, expected: &str) -> Parsed<()> {
        if self.scanner.token() == Token::End { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &str) -> Problem {
        self.scanner.problem(expected)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Rule, Source, Step, association, recall, rows};

    #[test]
    fn sums_bind_less_than_maps() {
        let parsed = rows("(a + a -> layers.0.wv? -> head(1/2)) -> relu -> scale(-0.5)").unwrap();
        assert_eq!(parsed.steps, [Step::Relu, Step::Scale(-0.5)]);
        let Source::Sum(terms) = parsed.source else { panic!("a sum") };
        assert_eq!((terms.len(), terms[0].steps.len()), (2, 0));
        let steps = [Step::MapOrIdentity("layers.0.wv".into()), Step::Head { head: 1, heads: 2 }];
        assert_eq!(terms[1].steps, steps);
    }

    #[test]
    fn things_and_pairs() {
        assert_eq!(association("previous among 0..3").unwrap().among, Some(vec![0, 1, 2]));
        assert_eq!(association("self among {7, 2..4}").unwrap().among, Some(vec![7, 2, 3]));
        assert_eq!(association("{3: 1, 5: 2}").unwrap().rule, Rule::Pairs(vec![(3, 1), (5, 2)]));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let said = |text: &str| recall(text).unwrap_err().to_string();
        assert_eq!(
            said("tok_embeddings -> output => self"),
            "expected `:` after the recall's name, found `->` at character 16"
        );
        assert_eq!(
            said("a: e -> w => slef"),
            "expected `self`, `previous`, or pairs such as `{3: 1, 5: 2}`, found `slef` at character 14"
        );
        assert_eq!(
            said("a: e -> w"),
            "expected `->` and a map, `+` or `~` and more rows, or `=>` and what should be recalled, found the end at character 10"
        );
        assert_eq!(
            said("a: e -> half(2) => self"),
            "expected a weight's name, `relu`, `scale(x)` or `head(h/H)`, found `half` at character 9"
        );
        assert_eq!(
            said("a: e -> head(4/4) => self"),
            "expected more than 4 heads for head 4, found `4` at character 16"
        );
        assert_eq!(
            said("a: e -> w => {1: 5} among 0..4"),
            "expected the target 5 of 1 among the candidates, found `{` at character 14"
        );
        assert_eq!(
            said("a: e => self among 5"),
            "expected `..` of a range, as in `0..64`; single things are in braces, found the end at character 21"
        );
        assert_eq!(
            said("a: e @ w => self"),
            "expected `->` and a map, `+` or `~` and more rows, or `=>` and what should be recalled, found `@` at character 6"
        );
        assert!(said(&"(".repeat(9999)).contains("a recall's name"));
        assert!(said(&format!("a: {}", "(".repeat(9999))).contains("at most 64 parentheses"));
    }

    #[test]
    fn a_long_text_is_read_in_linear_time_and_a_large_set_is_refused() {
        // each of these took minutes when a place was counted from the beginning for every token
        let terms = vec!["e"; 300_000].join(" + ");
        let parsed = rows(&terms).unwrap();
        assert!(matches!(parsed.source, Source::Sum(terms) if terms.len() == 300_000));
        let pairs: Vec<String> = (0..50_000).map(|i| format!("{i}: {i}")).collect();
        let parsed = association(&format!("{{{}}} among 0..50000", pairs.join(", "))).unwrap();
        assert!(matches!(parsed.rule, Rule::Pairs(pairs) if pairs.len() == 50_000));

        let said = |text: &str| association(text).unwrap_err().to_string();
        assert_eq!(
            said("self among 0..1048577"),
            "expected a range of 1 to 1048576 things, not 0..1048577, found `0` at character 12"
        );
        assert_eq!(
            said(&format!("self among {{{}}}", vec!["0..1048576"; 40].join(", "))),
            "expected at most 1048576 things in all, found `0` at character 25"
        );
        assert_eq!(association("self among 0..1048576").unwrap().among.unwrap().len(), 1 << 20);
        assert!(said("self among {18446744073709551615}").contains("numbers"));
    }
}
