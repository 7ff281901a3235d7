//! Measurements: the named numbers of one evaluation.
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// A loss or divergence, in nats.
    Nats,
    /// A share or a probability, from 0 to 1.
    Share,
    /// A difference of logits.
    Logits,
    /// A Euclidean norm.
    Norm,
    /// Seconds.
    Seconds,
    /// A count.
    Count,
    /// A penalty in a loss, which has no unit.
    Penalty,
    /// A number without a unit, such as a cosine or a coefficient.
    Number,
}

/// A number, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The number.
    Number(f64),
    /// The mean of an empty selection.
    OverNothing,
    /// The model lacks the part that is measured.
    NotApplicable,
}

impl Value {
    /// The number, if there is one.
    pub fn number(self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(number),
            Value::OverNothing | Value::NotApplicable => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

/// `None` is the mean of an empty selection.
impl From<Option<f64>> for Value {
    fn from(mean: Option<f64>) -> Self {
        mean.map_or(Value::OverNothing, Value::Number)
    }
}

/// One number of [`Measurements`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name, which is the key in `res.jsonl`.
    pub name: String,
    /// The unit of the number.
    pub unit: Unit,
    /// The number, or why there is none.
    pub value: Value,
}

/// The named numbers of one evaluation of a run, in the order in which they were inserted. In JSON they are one object, in
/// which NaN is `null`.
///
/// ```
/// use ihead::probe::{Measurements, Unit, Value};
/// let mut record = Measurements::new();
/// record.insert("loss", Unit::Nats, 1.5);
/// record.insert("acc_end", Unit::Share, None);
/// record.insert("ff1_loss", Unit::Nats, Value::NotApplicable);
/// let record = record.not_applicable_as(-1.0); // as in the paper's files
/// let json = serde_json::to_string(&record).unwrap();
/// assert_eq!(json, r#"{"loss":1.5,"acc_end":null,"ff1_loss":-1.0}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurements {
    entries: Vec<Entry>,
}

impl Measurements {
    /// Measurements without any number yet.
    pub fn new() -> Self {
        Measurements::default()
    }

    /// Adds a number at the end, or replaces the one of this name.
    pub fn insert(&mut self, name: impl Into<String>, unit: Unit, value: impl Into<Value>) {
        let entry = Entry { name: name.into(), unit, value: value.into() };
        match self.entries.iter_mut().find(|e| e.name == entry.name) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
    }

    /// Adds all numbers of `other`, in their order.
    pub fn extend(&mut self, other: Measurements) {
        for Entry { name, unit, value } in other.entries {
            self.insert(name, unit, value);
        }
    }

    /// The number of this name; `None` if there is no such entry or its value is not a number.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.entries.iter().find(|e| e.name == name)?.value.number()
    }

    /// The entries, in the order in which they were inserted.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same record without room for more numbers.
    pub(crate) fn shrunk(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.name.shrink_to_fit());
        self.entries.shrink_to_fit();
        self
    }

    /// The same measurements, with `number` for everything that is not applicable.
    pub fn not_applicable_as(mut self, number: f64) -> Self {
        for entry in self.entries.iter_mut().filter(|e| e.value == Value::NotApplicable) {
            entry.value = Value::Number(number);
        }
        self
    }
}

impl Serialize for Measurements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for entry in &self.entries {
            map.serialize_entry(&entry.name, &entry.value.number())?;
        }
        map.end()
    }
}

/// Refuses a metric or a probe without a name.
pub(crate) fn check_name(name: &str) -> crate::Result<()> {
    if !name.is_empty() {
        return Ok(());
    }
    Err(crate::Error::value(
        "the name of a metric or a probe",
        "empty",
        "the name of its number in the measurements",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_a_whole_run_has_no_room_for_more() {
        let mut record = Measurements::new();
        for i in 0..33 {
            let mut name = String::with_capacity(100);
            name.push_str(&format!("number_{i}"));
            record.insert(name, Unit::Nats, f64::from(i));
        }
        let kept = record.clone().shrunk();
        assert_eq!(kept, record);
        assert_eq!(kept.entries.capacity(), 33);
        assert!(kept.entries.iter().all(|entry| entry.name.capacity() < 16));
    }

    #[test]
    fn a_name_is_there_once_in_its_first_place() {
        let mut record = Measurements::new();
        record.insert("a", Unit::Share, 0.25);
        record.insert("b", Unit::Nats, f64::NAN);
        let mut other = Measurements::new();
        other.insert("a", Unit::Share, 0.5);
        other.insert("c", Unit::Count, 2.0);
        record.extend(other);
        assert_eq!(serde_json::to_string(&record).unwrap(), r#"{"a":0.5,"b":null,"c":2.0}"#);
        assert_eq!((record.get("a"), record.get("d")), (Some(0.5), None));
    }
}
