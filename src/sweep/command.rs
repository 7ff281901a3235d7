//! The command of a run.

use std::path::{Path, PathBuf};

use super::runs::{Plan, Planned};

/// The program that is running, to be called again.
pub(super) fn this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| std::env::args_os().next().unwrap_or_default().into())
}

impl Plan {
    /// The folder of a run.
    pub(super) fn dir_of(&self, run: &Planned) -> PathBuf {
        self.dir.join(&run.name)
    }

    /// The arguments of a run on so many threads.
    pub(super) fn arguments(&self, run: &Planned, threads: usize) -> Vec<String> {
        let save_dir = Path::new(&self.save_dir).join(&run.name);
        let mut args = vec!["--once".to_owned()];
        args.extend(self.base.iter().cloned());
        args.extend(run.set.iter().map(|(key, text)| format!("{key}={text}")));
        args.push(format!("save_dir={}", save_dir.display()));
        if self.traits.resume {
            args.push("resume=auto".into());
        }
        if self.traits.overwrite {
            args.push("overwrite=true".into());
        }
        if self.traits.threads {
            args.push(format!("threads={threads}"));
        }
        args
    }
}

/// Words as a line of a shell.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./,:@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The threads of each run when so many run at a time.
pub(super) fn share_of_threads(jobs: usize) -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / jobs).max(1)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_words_back() {
        for word in ["a", "", "a b", "it's", "$HOME", "a;b", "[1,2]", "*", "`x`", "é", "a\\b", "\"", "~", "#"]
        {
            let command = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
