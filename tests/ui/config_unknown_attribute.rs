use ihead::Config;

#[derive(Config)]
struct Args {
    #[config(defualt = 3, min = 1)]
    depth: usize,
    #[config(default = 3, colour = "red")]
    width: usize,
    #[config(default = 3, default = 4)]
    height: usize,
    #[config]
    length: Option<usize>,
}

#[derive(Config)]
#[config(validat = check)]
struct Other {}

fn main() {
    let _ = (Args::defaults(), Other::defaults());
}
