#!/usr/bin/env bash
# Figure 4's sweep at small sizes, three times: on this machine, by GNU parallel, and on a real Slurm of one node. Each is
# killed in the middle and taken up by the same command; the three tables must be equal.
#
#     tests/sweep_everywhere.sh target/release/examples
#
# GNU parallel and Slurm (Debian: parallel slurmctld slurmd slurm-client munge) are left out, with a line, where they are not;
# Slurm needs root, for it starts its daemons. `NEED=parallel,slurm` makes their absence an error.
set -euo pipefail

bin=$(cd "$1" && pwd)
iters=${ITERS:-400}
work=$(mktemp -d)
daemons=()
cleanup() {
  [[ ${#daemons[@]} == 0 ]] || { kill "${daemons[@]}" && wait "${daemons[@]}"; } 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

base=(max_iters="$iters" eval_delta=100 loss_head_only=False num_data_workers=1 test_batch_size=16
  data_args.seq_length=32 model_args.max_length=32 model_args.dim=16 model_args.final_ffn=True
  optim_args.use_sgd=False optim_args.learning_rate=0.003 optim_args.weight_decay=0 optim_args.batch_size=8)
# how many triggers, how rare, always the same or not, bigram outputs or not (section 5 of the paper), three seeds
sweep=(
  --sweep data_args.k=5 data_args.fixed_special_toks=True data_args.special_toks_offset=0,5,20 seed=1..=3
  --sweep data_args.k=1 data_args.fixed_special_toks=True seed=1..=3
  --sweep data_args.k=1,5 data_args.fixed_special_toks=False seed=1..=3
  --sweep data_args.k=5 data_args.fixed_special_toks=True,False bigram_outs_train=True seed=1..=3
)
runs=24

step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
table() { (cd "$1" && "$bin/collect" . rows=all format=csv metrics=[loss*,acc*]) >"$1.csv"; }
done_runs() { grep -l '"status": "done"' "$1"/_sweep/seed=*.json "$1"/_sweep/k=*.json 2>/dev/null | wc -l; }
# waits until some runs are done, not all
wait_for_some() {
  for _ in $(seq 600); do
    (($(done_runs "$1") < 3)) || return 0
    sleep 0.1
  done
  echo "no run came to its end within a minute" >&2
  return 1
}
check() {
  table "$1"
  local lines
  lines=$(wc -l <"$1.csv")
  ((lines == 1 + runs * (iters / 100))) || { echo "$1: $lines lines" >&2; "$bin/collect" "$1" >&2; return 1; }
  ! grep -E ',(failed|killed|missing|running),' "$1.csv" >&2 || { tail -n 5 "$1"/_sweep/*log* >&2; return 1; }
}
# what lives of a session: shells that have not become their programs yet are among it
living() { ps -eo pid=,sid=,stat= | awk -v session="$1" '$2 == session && $3 !~ /^Z/ { print $1 }'; }
missing() {
  echo "skipped: $1"
  [[ ${NEED-} != *$2* ]]
}

step "here"
setsid "$bin/ihead_basic" "${base[@]}" save_dir=here "${sweep[@]}" --jobs 2 >here.log 2>&1 &
local_sweep=$!
wait_for_some here
kill -9 -- "-$local_sweep" # the sweep and its runs
wait "$local_sweep" 2>/dev/null || true
echo "killed when $(done_runs here) of $runs runs were done"
"$bin/ihead_basic" "${base[@]}" save_dir=here "${sweep[@]}" --jobs 2 | tee here.log | tail -1
head -1 here.log
check here
same=here.csv

step "GNU parallel"
if command -v parallel >/dev/null; then
  "$bin/ihead_basic" "${base[@]}" save_dir=parallel "${sweep[@]}" --jobs 2 --emit parallel >parallel.sh
  setsid bash parallel.sh >parallel.log 2>&1 &
  script=$!
  wait_for_some parallel
  while pids=$(living "$script") && [[ -n $pids ]]; do # parallel puts its jobs into groups of their own
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  wait "$script" 2>/dev/null || true
  echo "killed when $(done_runs parallel) of $runs runs were done"
  bash parallel.sh >parallel.log 2>&1 || { grep -h error parallel.log parallel/_sweep/*.log >&2 || true; exit 1; }
  check parallel
  cmp "$same" parallel.csv && echo "the table is that of the runs here"
else
  missing "there is no GNU parallel" parallel
fi

step "Slurm"
if command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null && ((EUID == 0)); then
  mkdir -p slurm.d/state slurm.d/spool
  cat >slurm.d/slurm.conf <<CONF
ClusterName=single
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/slurm.d/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$work/slurm.d/state
SlurmdSpoolDir=$work/slurm.d/spool
SlurmctldPidFile=$work/slurm.d/ctld.pid
SlurmdPidFile=$work/slurm.d/d.pid
SlurmctldLogFile=$work/slurm.d/ctld.log
SlurmdLogFile=$work/slurm.d/d.log
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=0,requeue_delay=0
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
  # from 23 on control groups can be done without; before, they are not asked for
  version=$(slurmd -V | grep -o '[0-9]*' | head -1)
  ((version < 23)) || echo "CgroupPlugin=disabled" >slurm.d/cgroup.conf
  export SLURM_CONF=$work/slurm.d/slurm.conf
  chmod 755 "$work" slurm.d
  head -c 1024 /dev/urandom >slurm.d/munge.key && chmod 400 slurm.d/munge.key
  munged --foreground --force --key-file "$PWD/slurm.d/munge.key" --socket "$PWD/slurm.d/munge.socket" \
    --pid-file "$PWD/slurm.d/munge.pid" --log-file "$PWD/slurm.d/munge.log" --seed-file "$PWD/slurm.d/munge.seed" >/dev/null 2>&1 &
  daemons+=($!)
  sleep 1
  slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
  daemons+=($!)
  slurmd -D -N localhost -f "$SLURM_CONF" >/dev/null 2>&1 &
  daemons+=($!)
  for _ in $(seq 100); do
    ! sinfo -h -o %T 2>/dev/null | grep -q idle || break
    sleep 0.3
  done
  sinfo | grep idle || { cat slurm.d/*.log >&2; exit 1; }
  "$bin/ihead_basic" "${base[@]}" save_dir=slurm "${sweep[@]}" --jobs 2 --per-task 2 --emit slurm >slurm.sh
  submit() { bash slurm.sh | grep -o '[0-9]*$'; }
  ended() {
    for _ in $(seq 1200); do
      [[ -n $(squeue -h) ]] || return 0
      sleep 0.5
    done
    squeue >&2
    return 1
  }
  job=$(submit)
  wait_for_some slurm
  # what Slurm does two minutes before the time limit, to one task; then the whole array is cancelled
  requeued() { grep -o "Requeuing JobId=${job}_[0-9]*" slurm.d/ctld.log; }
  until requeued >/dev/null || [[ -z $(squeue -h) ]]; do
    # a task may end while it is asked to stop; then the next one is asked
    task=$(squeue -h -t RUNNING -o %K | tail -1)
    [[ -n $task ]] || { sleep 0.05; continue; }
    scancel --batch --signal=TERM "${job}_$task" >/dev/null 2>&1 || true
    for _ in $(seq 50); do
      ! requeued >/dev/null && squeue -h -t RUNNING -o %K | grep -qx "$task" || break
      sleep 0.1
    done
  done
  requeued || { echo "every task had ended before it could be asked to stop: take more ITERS" >&2; exit 1; }
  scancel --signal=KILL --full "$job" 2>/dev/null || true
  scancel "$job"
  ended
  echo "cancelled when $(done_runs slurm) of $runs runs were done"
  submit >/dev/null
  ended
  check slurm || { tail -5 slurm/_sweep/slurm-*.log slurm.d/*.log >&2; exit 1; }
  cmp "$same" slurm.csv && echo "the table is that of the runs here"
else
  missing "there is no Slurm that could be started" slurm
fi
step "done"
