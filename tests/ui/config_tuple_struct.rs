use ihead::Config;

#[derive(Config)]
struct Args(usize, f64);

#[derive(Config)]
union Either {
    a: u32,
    b: f32,
}

#[derive(Config)]
struct Generic<T> {
    value: Option<T>,
}

fn main() {
    let _ = Args::schema();
}
