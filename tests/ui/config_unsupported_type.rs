use ihead::Config;
use std::collections::HashMap;

#[derive(Config)]
struct Args {
    #[config(default = HashMap::new())]
    table: HashMap<String, usize>,
}

fn main() {}
