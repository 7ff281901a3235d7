//! The public interface, compared with `docs/public-api.txt`, so that a change of it is seen in a review.
mod lines;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

const HEADER: &str = "\
The public interface of ihead, an item a line, read from the sources by tests/all/public_api. Hidden items, what macros write
(the operations of src/ops on streams and weights) and implementations of private traits are left out. After a change:
IHEAD_BLESS=1 cargo test --test all public_api

";

#[test]
fn the_public_interface_is_the_reviewed_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let file = root.join("docs/public-api.txt");
    let found = format!("{HEADER}{}\n", lines::of(&root.join("src")).join("\n"));
    if std::env::var_os("IHEAD_BLESS").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n");
    let without = |text: &str, other: &str, sign: char| -> Vec<String> {
        let known: BTreeSet<&str> = other.lines().collect();
        text.lines().filter(|line| !known.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let changes = [without(&reviewed, &found, '-'), without(&found, &reviewed, '+')].concat();
    assert!(
        found == reviewed,
        "the public interface has changed; write docs/public-api.txt anew with IHEAD_BLESS=1 and review it:\n{}",
        changes.join("\n")
    );
}

#[test]
fn what_is_public_is_found_wherever_it_is_defined() {
    let lines = lines::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("all/public_api/example"));
    assert_eq!(
        lines,
        [
            "enum shapes::Kind { #[non_exhaustive], Round, Square(f64) }: Clone",
            "fn shapes::Shape::new(side: f64) -> Shape",
            "fn shapes::Shape::sides(&self) -> &[f64]",
            "fn shapes::area(shape: &Shape) -> f64",
            "impl shapes::Shape: Named",
            "struct shapes::Shape { pub kind: Kind, .. }",
            "trait Named: Sized",
            "trait Named::name(&self) -> String",
            "use Thing = elsewhere::Thing",
            "use prelude::Shape = shapes::Shape",
        ]
    );
}
