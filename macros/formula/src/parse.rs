//! From words to a recall.
use crate::lex::{Token, tokens};
use crate::{Association, Problem, Recall, Rows, Rule, Source, Step};

/// The most things of a range: a typing error should not fill the memory.
const MOST: usize = 1 << 24;

/// The most parentheses inside each other.
const DEEPEST: usize = 64;

/// Reads one text.
pub(crate) struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

type Parsed<T> = Result<T, Problem>;

impl Parser {
    pub fn new(text: &str) -> Parsed<Parser> {
        Ok(Parser { tokens: tokens(text)?, next: 0, depth: 0 })
    }

    pub fn recall(mut self) -> Parsed<Recall> {
        let name = self.name("a recall's name, as in `copies: tok_embeddings -> output => self`")?;
        self.sign(":", "`:` after the recall's name")?;
        let inputs = self.rows()?;
        let keys = if self.take("~") { Some(self.rows()?) } else { None };
        if keys.is_none() && self.peek() == &Token::Sign(":") {
            return Err(self.unexpected("one name before the rows"));
        }
        self.sign("=>", "`->` and a map, `+` or `~` and more rows, or `=>` and what should be recalled")?;
        let association = self.association()?;
        self.end("`among` or the end")?;
        Ok(Recall { name, inputs, keys, association })
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
        let mut rows = if self.peek() == &Token::Sign("(") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(self.unexpected(&format!("at most {DEEPEST} parentheses inside each other")));
            }
            self.next += 1;
            let rows = self.rows()?;
            self.sign(")", "`)`")?;
            self.depth -= 1;
            rows
        } else {
            let table = self.name("a table's name, such as `tok_embeddings`, or `(`")?;
            Rows { source: Source::Table(table), steps: Vec::new() }
        };
        while self.take("->") {
            rows.steps.push(self.step()?);
        }
        Ok(rows)
    }

    fn step(&mut self) -> Parsed<Step> {
        let place = self.next;
        let word = self.name("a weight's name or a step after `->`")?;
        match (word.as_str(), self.take("(")) {
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
                let at = self.next;
                let heads = self.integer("the number of heads, as in `head(0/4)`")?;
                if head >= heads {
                    self.next = at;
                    return Err(self.unexpected(&format!("more than {head} heads for head {head}")));
                }
                self.sign(")", "`)`")?;
                Ok(Step::Head { head, heads })
            }
            ("scale" | "head", false) => {
                Err(self.unexpected(&format!("`(` after `{word}`, as in `scale(0.5)` or `head(0/4)`")))
            }
            (_, true) => {
                self.next = place;
                Err(self.unexpected("a weight's name, `relu`, `scale(x)` or `head(h/H)`"))
            }
            (_, false) if self.take("?") => Ok(Step::MapOrIdentity(word)),
            (_, false) => Ok(Step::Map(word)),
        }
    }

    fn association(&mut self) -> Parsed<Association> {
        const EXPECTED: &str = "`self`, `previous`, or pairs such as `{3: 1, 5: 2}`";
        let start = self.next;
        let rule = match self.peek() {
            Token::Name(word) if word == "self" => Rule::Itself,
            Token::Name(word) if word == "previous" => Rule::Previous,
            Token::Sign("{") => Rule::Pairs(self.pairs()?),
            _ => return Err(self.unexpected(EXPECTED)),
        };
        if !matches!(rule, Rule::Pairs(_)) {
            self.next += 1;
        }
        let among = if self.peek() == &Token::Name("among".into()) {
            self.next += 1;
            Some(self.things()?)
        } else {
            None
        };
        if let (Rule::Pairs(pairs), Some(among)) = (&rule, &among)
            && let Some((input, target)) = pairs.iter().find(|(_, target)| !among.contains(target))
        {
            self.next = start;
            return Err(self.unexpected(&format!("the target {target} of {input} among the candidates")));
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
            let single = self.next;
            self.thing(&mut things)?;
            if self.tokens.get(single + 1).is_some_and(|(_, token)| token != &Token::Sign("..")) {
                self.next = single + 1;
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

    /// A number or a range.
    fn thing(&mut self, things: &mut Vec<usize>) -> Parsed<()> {
        let start = self.next;
        let first = self.integer("numbers, as in `{3, 5}` or `0..64`")?;
        if !self.take("..") {
            things.push(first);
            return Ok(());
        }
        let end = self.integer("the end of the range, as in `0..64`")?;
        if end <= first || end - first > MOST {
            self.next = start;
            return Err(self.unexpected(&format!("a range of 1 to {MOST} things, not {first}..{end}")));
        }
        things.extend(first..end);
        Ok(())
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let there = self.peek() == &Token::Sign(sign);
        self.next += usize::from(there);
        there
    }

    fn sign(&mut self, sign: &'static str, expected: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn name(&mut self, expected: &str) -> Parsed<String> {
        let Token::Name(name) = self.peek().clone() else { return Err(self.unexpected(expected)) };
        self.next += 1;
        Ok(name)
    }

    fn integer(&mut self, expected: &str) -> Parsed<usize> {
        self.number(expected, |text| text.parse().ok())
    }

    fn float(&mut self, expected: &str) -> Parsed<f64> {
        self.number(expected, |text| text.parse().ok().filter(|number: &f64| number.is_finite()))
    }

    fn number<T>(&mut self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let found = if let Token::Number(text) = self.peek() { read(text) } else { None };
        let number = found.ok_or_else(|| self.unexpected(expected))?;
        self.next += 1;
        Ok(number)
    }

    fn end(&self, expected: &str) -> Parsed<()> {
        if self.peek() == &Token::End { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let at = self.tokens.get(self.next).map_or(0, |(at, _)| *at);
        Problem { at, message: format!("expected {expected}, found {}", self.peek()) }
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
        let told = |text: &str| recall(text).unwrap_err().to_string();
        assert_eq!(
            told("tok_embeddings -> output => self"),
            "expected `:` after the recall's name, found `->` at character 16"
        );
        assert_eq!(
            told("a: e -> w => slef"),
            "expected `self`, `previous`, or pairs such as `{3: 1, 5: 2}`, found `slef` at character 14"
        );
        assert_eq!(
            told("a: e -> w"),
            "expected `->` and a map, `+` or `~` and more rows, or `=>` and what should be recalled, found the end at character 10"
        );
        assert_eq!(
            told("a: e -> half(2) => self"),
            "expected a weight's name, `relu`, `scale(x)` or `head(h/H)`, found `half` at character 9"
        );
        assert_eq!(
            told("a: e -> head(4/4) => self"),
            "expected more than 4 heads for head 4, found `4` at character 16"
        );
        assert_eq!(
            told("a: e -> w => {1: 5} among 0..4"),
            "expected the target 5 of 1 among the candidates, found `{` at character 14"
        );
        assert_eq!(
            told("a: e => self among 5"),
            "expected `..` of a range, as in `0..64`; single things are in braces, found the end at character 21"
        );
        assert_eq!(told("a: e @ w"), "no formula has a `@`, found one at character 6");
        assert!(told(&"(".repeat(9999)).contains("a recall's name"));
        assert!(told(&format!("a: {}", "(".repeat(9999))).contains("at most 64 parentheses"));
    }
}
