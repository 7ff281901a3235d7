use ihead::Config;

#[derive(Config)]
enum Device {
    Cpu,
    Cuda(usize),
    #[config(rename = "cpu")]
    Other,
    Null,
    #[config(renam = "x")]
    Tpu,
}

#[derive(Config)]
enum Nothing {}

#[derive(Config)]
struct Args {
    #[config(default = Device::Cpu)]
    device: Device,
    nothing: Option<Nothing>,
}

fn main() {
    let _ = Args::schema();
}
