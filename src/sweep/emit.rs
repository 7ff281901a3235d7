//! A sweep as text: lines for a shell, a script for GNU parallel, a script for an array of Slurm.

use std::fmt::Write;
use std::path::Path;

use crate::config::Emit;
use crate::{Error, Result};

use super::command::{line, quoted, share_of_threads, this_program};
use super::folder::OWN;
use super::runs::Plan;

impl Plan {
    /// The sweep in this form; `jobs` at a time, and in Slurm `per_task` runs one after the other in a task.
    pub(super) fn emit(&self, form: Emit, jobs: usize, per_task: usize) -> Result<String> {
        let here = std::env::current_dir().map_err(|e| Error::io("find", ".", e))?;
        let program = this_program().to_string_lossy().into_owned();
        let own = here.join(&self.dir).join(OWN);
        let threads = if form == Emit::Slurm { 1 } else { share_of_threads(jobs) };
        let lines: Vec<String> = self
            .runs
            .iter()
            .map(|run| {
                let args = self.arguments(run, threads);
                let line = line(std::iter::once(program.as_str()).chain(args.iter().map(String::as_str)));
                match form {
                    Emit::Commands => line,
                    // where a sweep on this machine has it too
                    _ => format!("{line} >>{} 2>&1", quoted(&text(&own.join(format!("{}.log", run.name))))),
                }
            })
            .collect();
        Ok(match form {
            Emit::Commands => {
                lines.iter().map(|line| format!("cd {} && {line}\n", quoted(&text(&here)))).collect()
            }
            Emit::Parallel => parallel(&here, &own, jobs, &lines, &self.write_plan(&own)),
            Emit::Slurm => slurm(&here, &own, jobs, per_task, &lines, &self.write_plan(&own)),
        })
    }
}

impl Plan {
    /// The command that leaves the plan of the sweep in its folder.
    fn write_plan(&self, own: &Path) -> String {
        let file = quoted(&text(&own.join(self.file())));
        format!("mkdir -p {}\ncat >{file} <<'PLAN'\n{}PLAN", quoted(&text(own)), self.listed())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn parallel(here: &Path, own: &Path, jobs: usize, lines: &[String], plan: &str) -> String {
    let (here, own) = (quoted(&text(here)), quoted(&text(own)));
    format!(
        "#!/usr/bin/env bash
# {} runs by GNU parallel. The same script once more goes on: what is in the log and succeeded is left out, and a run
# that was broken off is taken up again. Other machines: add --sshloginfile and a folder that they share.
set -euo pipefail
cd {here}
{plan}
parallel --jobs \"${{JOBS:-{jobs}}}\" --joblog {own}/joblog --resume-failed --halt never <<'RUNS'
{}
RUNS
",
        lines.len(),
        lines.join("\n"),
    )
}

fn slurm(here: &Path, own: &Path, jobs: usize, per_task: usize, lines: &[String], plan: &str) -> String {
    let tasks = lines.len().div_ceil(per_task);
    let (last, here) = (tasks - 1, text(here));
    let mut cases = String::new();
    for (at, line) in lines.iter().enumerate() {
        let _ = writeln!(cases, "    {at}) exec {line} ;;");
    }
    format!(
        "#!/usr/bin/env bash
# {number} runs as an array of Slurm, {per_task} in a task. Set the time limit and what your cluster asks for, then:
#     bash THIS_FILE
# The same file once more goes on: a finished run ends at once, one that was broken off is taken up again.
#SBATCH --job-name=sweep
#SBATCH --array=0-{last}%{jobs}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --chdir={here}
#SBATCH --output={own}/slurm-%A_%a.log

if [[ -z ${{SLURM_ARRAY_TASK_ID-}} ]]; then
{plan}
    exec sbatch \"$0\"
fi

run() {{
    case $1 in
{cases}    esac
}}

# Two minutes before the time limit Slurm sends TERM: the run is asked to stop, which leaves what it needs to go on, and
# the task goes back into the queue.
child=
again() {{
    trap '' TERM
    [[ -z $child ]] || {{ kill -TERM \"$child\" 2>/dev/null; wait \"$child\"; }}
    scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"
    exit 0
}}
trap again TERM

failed=0
for ((i = SLURM_ARRAY_TASK_ID * {per_task}; i < (SLURM_ARRAY_TASK_ID + 1) * {per_task} && i < {number}; i++)); do
    run \"$i\" &
    child=$!
    wait \"$child\" || failed=1
    child=
done
exit \"$failed\"
",
        number = lines.len(),
        own = text(own),
    )
}
