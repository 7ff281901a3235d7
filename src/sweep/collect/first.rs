//! `acc > 0.9`: the first evaluation at which a number passes a bound.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A condition on a number of an evaluation.
///
/// ```
/// use ihead::sweep::First;
/// let first: First = "acc_end>=0.9".parse()?;
/// assert_eq!(first.to_string(), "acc_end >= 0.9");
/// assert_eq!("acc".parse::<First>().unwrap_err().to_string(), "first: 'acc'; expected NAME > NUMBER, or with <, >= or <=");
/// # Ok::<(), ihead::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    /// The name of the number.
    pub name: String,
    relation: &'static str,
    bound: f64,
}

/// Longer ones before those that they begin with.
const RELATIONS: [&str; 4] = [">=", "<=", ">", "<"];

impl FromStr for First {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = text.find(['<', '>']).and_then(|at| {
            let relation = RELATIONS.into_iter().find(|relation| text[at..].starts_with(relation))?;
            let bound =
                text[at + relation.len()..].trim().parse().ok().filter(|bound: &f64| bound.is_finite())?;
            let name = text[..at].trim();
            (!name.is_empty()).then(|| First { name: name.into(), relation, bound })
        });
        let misfit = || Error::value("first", format!("'{text}'"), "NAME > NUMBER, or with <, >= or <=");
        found.ok_or_else(misfit)
    }
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.relation, self.bound)
    }
}

impl First {
    /// The first iteration at which it holds.
    pub(super) fn at(&self, records: &[(u64, Map<String, Value>)]) -> Option<u64> {
        let holds = |object: &Map<String, Value>| {
            object.get(&self.name).and_then(Value::as_f64).is_some_and(|number| match self.relation {
                ">=" => number >= self.bound,
                "<=" => number <= self.bound,
                ">" => number > self.bound,
                _ => number < self.bound,
            })
        };
        records.iter().find(|(_, object)| holds(object)).map(|(iteration, _)| *iteration)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_relation_holds_at_its_bound_if_it_says_so() {
        let record =
            |(iteration, acc): (u64, Value)| (iteration, json!({ "acc": acc }).as_object().unwrap().clone());
        let records: Vec<_> =
            [(0, json!(null)), (1, json!(0.5)), (2, json!(0.75)), (3, json!(0.25))].map(record).into();
        let at = |text: &str| text.parse::<First>().unwrap().at(&records);
        assert_eq!(
            [at("acc >= 0.5"), at("acc > 0.5"), at("acc >= 0.76"), at("acc > 0.4")],
            [Some(1), Some(2), None, Some(1)]
        );
        assert_eq!(
            [at("acc <= 0.25"), at("acc < 0.25"), at("acc < 0.5"), at("acc <= 0.5")],
            [Some(3), None, Some(3), Some(1)]
        );
        assert_eq!(at("loss < 1"), None);
    }

    #[test]
    fn what_has_no_name_or_no_finite_bound_is_refused() {
        for text in ["", "> 0.5", "acc >", "acc > inf", "acc > NaN", "acc = 1", "acc >> 1"] {
            assert!(text.parse::<First>().is_err(), "{text}");
        }
        let said = ["a.b<1e-3", " acc  <=  -2 "].map(|text| text.parse::<First>().unwrap().to_string());
        assert_eq!(said, ["a.b < 0.001", "acc <= -2"]);
    }
}
