//! `ihead::main` as a process: its statuses and its two streams. The program runs itself as a child.

use std::process::{Command, ExitCode, Output};

use ihead::Config;

/// Adds.
#[derive(Config)]
struct Args {
    /// First term.
    #[config(default = 1)]
    a: i64,
    /// Second term.
    #[config(default = 2, max = 9, applies = "a!=0")]
    b: i64,
}

const CHILD: &str = "IHEAD_TEST_CHILD";

fn add(args: Args) -> Result<(), ihead::Error> {
    if args.a < 0 {
        return Err(ihead::Error::config("a", "expected a sum that is worth it"));
    }
    println!("{}", args.a + args.b);
    Ok(())
}

fn run(line: &[&str]) -> (Option<i32>, String, String) {
    let this = std::env::current_exe().unwrap();
    let Output { status, stdout, stderr } = Command::new(this).args(line).env(CHILD, "1").output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn expect(line: &[&str], status: i32, stdout: &str, stderr: &str) {
    assert_eq!(run(line), (Some(status), stdout.to_owned(), stderr.to_owned()), "{line:?}");
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return ihead::main(add);
    }
    expect(&[], 0, "3\n", "");
    expect(&["a=5"], 0, "7\n", "");
    expect(&["a=0", "b=4"], 0, "4\n", "warning: b: has no effect: it applies when a!=0\n");
    expect(&["a=-1"], 2, "", "error: a: expected a sum that is worth it\n");
    let both =
        "error: a: expected an integer, found 'x'\nerror: b: expected an integer of at most 9, found '10'\n";
    expect(&["a=x", "b=10"], 2, "", both);
    expect(&["--print-config", "b=3"], 0, "{\n  \"a\": 1,\n  \"b\": 3\n}\n", "");
    let (status, help, errors) = run(&["--help"]);
    assert!(status == Some(0) && errors.is_empty() && help.starts_with("Adds.\n\nUsage: "), "{help}");
    not_unicode();
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn not_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let arg = std::ffi::OsStr::from_bytes(b"a=\xff");
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).arg(arg).env(CHILD, "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"error: argument 1 is not valid Unicode: a="));
}

#[cfg(not(unix))]
fn not_unicode() {}
