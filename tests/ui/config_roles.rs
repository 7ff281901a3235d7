use ihead::Config;

#[derive(Config)]
struct Inner {
    #[config(default = 1)]
    depth: usize,
}

#[derive(Config)]
struct Args {
    #[config(group, flatten)]
    both: Inner,
    #[config(group, min = 1)]
    bounded: Inner,
    #[config(group, default = 3)]
    one_default: Inner,
    #[config(group = true)]
    valued: Inner,
    #[config(flatten, rename = "other")]
    renamed: Inner,
    #[config(default(depth = 1))]
    not_a_group: usize,
}

fn main() {}
