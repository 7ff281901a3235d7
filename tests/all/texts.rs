//! Long and hostile texts of every small language: each is read, or refused with one short line, in linear time. There is no
//! clock in here: where the time grew with the square of the length, or exponentially, these tests would not end.
use std::str::FromStr;

use ihead::Error;
use ihead::graph::Edits;
use ihead::probe::{Association, Circuit, Recall};
use ihead::train::optim::Optim;
use ihead::train::{Schedule, Timeline, WeightEdit};

const MANY: usize = 100_000;

fn refused<T: FromStr<Err = Error>>(text: &str, said: &str) {
    let Err(error) = text.parse::<T>() else { panic!("{} characters are read", text.len()) };
    let line = error.to_string();
    assert!(line.contains(said), "{line}");
    assert!(line.chars().count() < 500 && line.lines().count() == 1, "{line}");
}

/// Texts of a megabyte that are well formed up to their end, and behind it a character that no language has.
fn long<T: FromStr<Err = Error>>(text: &str) {
    assert!(text.len() > 200_000);
    assert!(text.parse::<T>().is_ok(), "{:.100}", text);
    refused::<T>(&format!("{text} @"), &format!("found `@` at character {}", text.chars().count() + 2));
}

#[test]
fn a_long_text_is_read_and_its_first_mistake_is_found() {
    let joined = |item: &str, by: &str| vec![item; MANY].join(by);
    long::<Recall>(&format!("r: {} => self", joined("e -> w", " + ")));
    long::<Recall>(&format!("r: e{} => previous", " -> layers.0.wv?".repeat(MANY)));
    long::<Circuit>(&joined("tok_embeddings", " + "));
    long::<Association>(&format!("self among {{{}}}", joined("0..3", ", ")));
    long::<Edits>(&joined("layers.*.attention.pattern[0,1]=scale(0.5)", ", "));
    long::<Edits>(&format!("a=row({})", joined("0.25", ", ")));
    long::<Timeline>(&joined("every 7 and last: freeze(layers.*)", ", "));
    long::<Timeline>(&format!("0: edit({})", joined("a=ablate", ", ")));
    long::<Schedule>(&format!("0{}", " 123".repeat(MANY)));
    long::<WeightEdit>(&format!("zero(layers.{})", "*".repeat(MANY * 3)));
}

#[test]
fn a_long_mistake_is_a_short_line() {
    for wrong in ["(".repeat(MANY), "a".repeat(MANY), "\u{1b}[31m\n".repeat(MANY), "ä*".repeat(MANY)] {
        let is_a_name = wrong.starts_with('a');
        refused::<Recall>(&wrong, "expected");
        refused::<Edits>(&wrong, "expected");
        refused::<Timeline>(&wrong, "expected WHEN: CHANGE");
        refused::<Schedule>(&wrong, "expected iterations");
        refused::<Optim>(&wrong, if is_a_name { "expected one of sgd, adamw, found" } else { "" });
        refused::<WeightEdit>(&wrong, if is_a_name { "expected one of rank, " } else { "" });
    }
}

#[test]
fn what_would_fill_the_memory_is_refused() {
    let ranges = vec!["0..1048576"; 40].join(", ");
    refused::<Association>(&format!("self among {{{ranges}}}"), "expected at most 1048576 things in all");
    refused::<Association>("previous among 0..16777216", "expected a range of 1 to 1048576 things");
    refused::<Schedule>("99999999999999999999", "expected iterations");
}

#[test]
fn a_setting_of_an_optimiser_is_given_once_and_betas_are_below_one() {
    refused::<Optim>("sgd(learning_rate=1, learning_rate=2)", "each setting once, not learning_rate again");
    refused::<Optim>("adamw(beta1=2)", "expected a number from 0 to less than 1, as in beta1=0.9");
    refused::<Optim>("adamw(beta2=1)", "found `1` at character 13");
    refused::<Optim>("adamw(eps=-1)", "expected settings with numbers of at least 0");
    refused::<Timeline>("3: sgd(momentum=)", "found `)` at character 17");
    assert_eq!("sgd()".parse::<Optim>().unwrap().to_string(), "sgd".parse::<Optim>().unwrap().to_string());
}
