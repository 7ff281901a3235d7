//! Optimisers as text: `sgd(learning_rate=0.1, momentum=0.9)`.
use std::fmt;
use std::str::FromStr;

use crate::text::{call, split};
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
        let misfit = |what: &str| Error::usage(format!("optimiser '{}': {what}", text.trim()));
        let (name, inside) = call(text).ok_or_else(|| misfit("a '(' is not closed"))?;
        let mut known = match name {
            "sgd" => SGD.to_vec(),
            "adamw" => ADAMW.to_vec(),
            _ => return Err(Error::unknown("optimiser", name, ["sgd", "adamw"])),
        };
        let items = if inside.is_empty() { Some(vec![]) } else { split(inside) };
        for item in items.ok_or_else(|| misfit("brackets or commas do not fit"))? {
            let form = "expected settings with numbers of at least 0, as in learning_rate=0.01";
            let (key, value) = item.split_once('=').ok_or_else(|| misfit(form))?;
            let number = value.trim().parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let place = known.iter_mut().find(|(name, _)| *name == key.trim());
            let unknown = || Error::unknown("setting of an optimiser", key.trim(), names);
            place.ok_or_else(unknown)?.1 = number.ok_or_else(|| misfit(form))?;
        }
        Ok(match known.iter().map(|(_, value)| *value).collect::<Vec<_>>()[..] {
            [rate, momentum, decay] => Optim::Sgd(Sgd::new(rate, momentum, decay)),
            [rate, b1, b2, eps, decay] => Optim::AdamW(AdamW::new(rate, (b1, b2), eps, decay)),
            _ => return Err(misfit("no such optimiser")),
        })
    }
}

impl fmt::Display for Optim {
    /// Its settings, without its state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, values) = match self {
            Optim::Sgd(sgd) => ("sgd", SGD.iter().zip(sgd.settings()).collect::<Vec<_>>()),
            Optim::AdamW(adamw) => ("adamw", ADAMW.iter().zip(adamw.settings()).collect()),
            Optim::Groups(groups) => {
                groups.groups().try_for_each(|(pattern, optim)| write!(f, "{pattern}: {optim}; "))?;
                return write!(f, "others: {}", groups.others());
            }
        };
        let settings: Vec<String> = values.into_iter().map(|((key, _), v)| format!("{key}={v}")).collect();
        write!(f, "{name}({})", settings.join(", "))
    }
}
