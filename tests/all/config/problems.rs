//! What a wrong command line says.

use super::{problem, problems};

#[test]
fn values_that_do_not_fit_say_what_was_expected() {
    for (arg, expected) in [
        ("max_iters=", "max_iters: expected an integer of at least 1 or null, found nothing after '='"),
        ("save_dir=", "save_dir: expected a path or null, found nothing after '='"),
        ("max_iters=1.5", "max_iters: expected an integer of at least 1 or null, found '1.5'"),
        ("max_iters=0", "max_iters: expected an integer of at least 1 or null, found '0'"),
        ("seed=-1", "seed: expected an integer of at least 0, found '-1'"),
        ("shift=3e9", "shift: expected an integer, found '3e9'; the greatest possible is 2147483647"),
        ("type=yes", "type: expected true or false, found 'yes'"),
        ("optim_args.momentum=1.1", "optim_args.momentum: expected a number from 0 to 1, found '1.1'"),
        (
            "optim_args.learning_rate=nan",
            "optim_args.learning_rate: expected a number of at least 0, found 'nan'; it must be finite",
        ),
        (
            "optim_args.learning_rate=1e400",
            "optim_args.learning_rate: expected a number of at least 0, found '1e400'; it is too large",
        ),
        ("temperature=0", "temperature: expected a number above 0, found '0'"),
        ("temperature=inf", "temperature: expected a number above 0, found 'inf'; it must be finite"),
        (
            "temperature=1e39",
            "temperature: expected a number above 0, found '1e39'; the greatest possible is 3.4028235e38",
        ),
        ("device=cudo", "device: expected one of cpu, cuda, tpu-v5, found 'cudo'; did you mean 'cuda'?"),
        (
            "layers=1,2",
            "layers: expected a list in brackets, each item an integer from 0 to 9, found '1,2'; write [1,2]",
        ),
        (
            "layers=[1,10]",
            "layers: expected a list in brackets, each item an integer from 0 to 9, found '[1,10]'",
        ),
        (
            "layers=[1,,2]",
            "layers: expected a list in brackets, each item an integer from 0 to 9, found '[1,,2]'; an item is empty, at character 4",
        ),
        (
            "names=['a]",
            "names: expected a list in brackets, each item text, found '['a]'; a quote is not closed, at character 2",
        ),
    ] {
        assert_eq!(problem(arg), expected);
    }
}

#[test]
fn keys_that_do_not_exist_name_the_nearest_of_all_sections() {
    for (arg, expected) in [
        ("learning_rate=1", "no setting 'learning_rate'; did you mean 'optim_args.learning_rate'?"),
        ("optim_args.dim=1", "no setting 'optim_args.dim'; did you mean 'model_args.dim'?"),
        ("model_args.dimm=1", "no setting 'model_args.dimm'; did you mean 'model_args.dim'?"),
        ("colour=red", "no setting 'colour'; --help lists them all"),
        ("=3", "no setting ''; --help lists them all"),
        (
            "max_iters",
            "max_iters: no value: write max_iters=VALUE; expected an integer of at least 1 or null",
        ),
        ("max_iter", "no setting or option 'max_iter'; did you mean 'max_iters'?"),
        (
            "optim_args=3",
            "optim_args: is a section: set one of its settings, like optim_args.learning_rate=VALUE",
        ),
        ("--max-iters=3", "no option '--max-iters'; settings are written without dashes: max_iters=VALUE"),
        ("--hlep", "no option '--hlep'; did you mean '--help'?"),
        ("--config", "--config needs a FILE after it"),
        (
            "--completions=bsh",
            "--completions needs one of bash, zsh, fish, found 'bsh'; did you mean 'bash'?",
        ),
        ("--completions", "--completions needs one of bash, zsh, fish, found nothing"),
        ("--explain=yes", "--explain takes no value"),
        ("--jobs=2", "--jobs belongs to a sweep: give --sweep KEY=VALUE,VALUE... too"),
        ("--sweep", "--sweep needs an axis after it, as in --sweep KEY=1,2,4"),
    ] {
        assert_eq!(problem(arg), expected);
    }
}

#[test]
fn options_of_sweeps_that_do_not_fit() {
    for (line, expected) in [
        (&["--sweep", "seed=1,2", "--jobs", "0"][..], "--jobs needs an integer of at least 1, found '0'"),
        (&["--sweep", "seed=1,2", "--jobs"], "--jobs needs an integer of at least 1, found nothing"),
        (
            &["--sweep", "seed=1,2", "--emit", "pbs"],
            "--emit needs one of commands, parallel, slurm, found 'pbs'",
        ),
        (
            &["--sweep", "seed=1,2", "--per-task", "2"],
            "--per-task 2: it is of --emit slurm alone, which is not asked for",
        ),
        (
            &["--sweep", "seed=1,2", "--emit", "commands", "--per-task=3"],
            "--per-task 3: it is of --emit slurm alone, which is not asked for",
        ),
        (&["--sweep", "seed=1,2", "--jobs", "2", "--jobs=3"], "--jobs is given twice"),
        (&["--emit", "slurm", "--sweep", "seed=1,2", "--emit", "commands"], "--emit is given twice"),
        (&["--schema", "--explain"], "two things to print are asked for: give one of them"),
    ] {
        assert_eq!(problems(line), [expected]);
    }
}

#[test]
fn a_key_given_twice_with_different_values() {
    let all = problems(&["max_iters=1", "seed=0", "max_iters=2"]);
    assert_eq!(all, ["max_iters: given twice: 1 in argument 1 and 2 in argument 3"]);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let all = problems(&["lr", "max_iters=x", "model_args.n_heads=5", "optim_args.momentm=1"]);
    assert_eq!(all.len(), 3, "values are not checked together when one was refused: {all:?}");
    let all = problems(&["model_args.n_heads=5", "optim_args.momentm=1"]);
    let together = "model_args.dim: expected a multiple of n_heads=5, found 64";
    assert_eq!(all, ["no setting 'optim_args.momentm'; did you mean 'optim_args.momentum'?", together]);
}
