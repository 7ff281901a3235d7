//! Optimisers as text: `sgd(learning_rate=0.1, momentum=0.9)`.
use std::fmt;
use std::str::FromStr;

use crate::text::{Number, Reader};
use crate::{Error, Result};

use super::{AdamW, Optim, Sgd};

/// The settings of each optimiser, with the values that they have if they are not given.
const SGD: [(&str, f64); 3] = [("learning_rate", 0.1), ("momentum", 0.0), ("weight_decay", 0.0)];
const ADAMW: [(&str, f64); 5] =
    [("learning_rate", 1e-3), ("beta1", 0.9), ("beta2", 0.95), ("eps", 1e-8), ("weight_decay", 0.0)];

impl FromStr for Optim {
    type Err = Error;

    /// A new optimiser: `sgd(learning_rate=0.1, momentum=0, weight_decay=0)` or
    /// `adamw(learning_rate=0.001, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0)`; these values, where none is given.
    ///
    /// # Errors
    /// If the optimiser or a setting is not known (the nearest is in the message), or a value is no number of at least 0.
    fn from_str(text: &str) -> Result<Optim> {
        let read = |reader: &mut Reader<'_>| {
            let place = reader.place();
            let name = reader.word("an optimiser, such as sgd or adamw(learning_rate=0.01)")?;
            match name {
                "sgd" | "adamw" => Optim::read(name, reader),
                _ => Err(reader.unknown("optimiser", (place, name), ["sgd", "adamw"])),
            }
        };
        Reader::whole("optimiser", text, read, "the end")
    }
}

impl Optim {
    /// What stands after its name.
    pub(crate) fn read(name: &str, reader: &mut Reader<'_>) -> Result<Optim> {
        let mut known = match name {
            "sgd" => SGD.to_vec(),
            "adamw" => ADAMW.to_vec(),
            _ => return Err(Error::unknown("optimiser", name, ["sgd", "adamw"])),
        };
        if reader.take("(") && !reader.take(")") {
            let mut given = Vec::new();
            reader.list(|reader| setting(reader, &mut known, &mut given))?;
            reader.sign(")", "`,` and another setting, or `)`")?;
        }
        Ok(match known.iter().map(|(_, value)| *value).collect::<Vec<_>>()[..] {
            [rate, momentum, decay] => Optim::Sgd(Sgd::new(rate).momentum(momentum).weight_decay(decay)),
            [rate, b1, b2, eps, decay] => {
                Optim::AdamW(AdamW::new(rate).betas(b1, b2).eps(eps).weight_decay(decay))
            }
            _ => return Err(Error::unknown("optimiser", name, ["sgd", "adamw"])),
        })
    }
}

impl Optim {
    /// Its name, and its settings with their values; none of an optimiser with groups, which has several. The name of a rule of the
    /// user's own has its settings but for the learning rate.
    fn numbers(&self) -> Option<(&str, Vec<(&'static str, f64)>)> {
        let (name, known, values) = match self {
            Optim::Sgd(sgd) => ("sgd", &SGD[..], sgd.settings()),
            Optim::AdamW(adamw) => ("adamw", &ADAMW[..], adamw.settings()),
            Optim::Own(own) => return Some((own.words(), vec![("learning_rate", own.learning_rate())])),
            Optim::Groups(_) => return None,
        };
        Some((name, known.iter().map(|(key, _)| *key).zip(values).collect()))
    }

    /// Its learning rate; of an optimiser with groups, that of the others.
    pub(super) fn learning_rate(&self) -> f64 {
        match self {
            Optim::Groups(groups) => groups.others().learning_rate(),
            one => one
                .numbers()
                .and_then(|(_, numbers)| numbers.first().map(|(_, rate)| *rate))
                .unwrap_or_default(),
        }
    }

    /// Checks the numbers that it was made of, as its text is checked when it is read.
    ///
    /// # Errors
    /// If one is negative or not finite, a `beta` is 1 or more, or the moments of a rule of the user's own are named
    /// as [`UpdateRule::moments`](super::UpdateRule::moments) forbids.
    pub(super) fn check_numbers(&self) -> Result<()> {
        self.parts().into_iter().try_for_each(Optim::check_own_numbers)
    }

    fn check_own_numbers(&self) -> Result<()> {
        if let Optim::Own(own) = self {
            own.check_moments()?;
        }
        let Some((name, numbers)) = self.numbers() else { return Ok(()) };
        for (key, value) in numbers {
            let said = |expected: &str| Err(Error::value(format!("{key} of {name}"), value, expected));
            if !(value.is_finite() && value >= 0.0) {
                return said("a finite number of at least 0");
            }
            if key.starts_with("beta") && value >= 1.0 {
                return said("a number from 0 to less than 1");
            }
        }
        Ok(())
    }
}

/// `key=value` of one of the `known` settings that is not `given` yet.
fn setting<'a>(
    reader: &mut Reader<'a>,
    known: &mut [(&'static str, f64)],
    given: &mut Vec<&'a str>,
) -> Result<()> {
    const FORM: &str = "settings with numbers of at least 0, as in learning_rate=0.01";
    let place = reader.place();
    let key = reader.word(FORM)?;
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let unknown = || reader.unknown("setting of an optimiser", (place, key), names);
    let (_, value) = known.iter_mut().find(|(name, _)| *name == key).ok_or_else(unknown)?;
    if given.contains(&key) {
        return Err(reader.misfit_at(place, &format!("each setting once, not {key} again")));
    }
    given.push(key);
    reader.sign("=", FORM)?;
    let place = reader.place();
    *value = reader.number(FORM)?;
    if *value < 0.0 {
        return Err(reader.misfit_at(place, FORM));
    }
    if key.starts_with("beta") && *value >= 1.0 {
        return Err(reader.misfit_at(place, &format!("a number from 0 to less than 1, as in {key}=0.9")));
    }
    Ok(())
}

impl fmt::Display for Optim {
    /// Its settings, without its state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Optim::Groups(groups) = self {
            for ((pattern, optim), follows) in groups.groups().zip(groups.follow()) {
                write!(
                    f,
                    "{pattern}: {optim}{}; ",
                    if follows { " in proportion to the others" } else { "" }
                )?;
            }
            return write!(f, "others: {}", groups.others());
        }
        let Some((name, numbers)) = self.numbers() else { return Ok(()) };
        let settings: Vec<String> =
            numbers.into_iter().map(|(key, v)| format!("{key}={}", Number(v))).collect();
        match self {
            Optim::Own(_) => write!(f, "{name} with {}", settings.join(", ")),
            _ => write!(f, "{name}({})", settings.join(", ")),
        }
    }
}
