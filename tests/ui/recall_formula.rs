//! A recall whose text is no formula.
use ihead::recall;

fn main() {
    let _ = recall!("copies: tok_embeddings -> => self");
    let _ = recall!("tok_embeddings -> output => self");
    let _ = recall!("copies: tok_embeddings -> output => itself");
    let _ = recall!("copies: tok_embeddings -> head(4/4) -> output => self");
    let layer = 1;
    let _ = recall!(format!("copies: tok_embeddings -> layers.{layer}.attention.wv => self"));
}
