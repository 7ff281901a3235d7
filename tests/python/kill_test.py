"""Kills runs at random moments, resumes each, and compares the files with those of a run that was not interrupted, byte by byte.

    cargo build --release --example ihead_basic --example ihead_full
    python3 tests/python/kill_test.py target/release/examples 50
"""
import filecmp, pathlib, random, subprocess, sys, tempfile, time

programs, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
tiny = """threads=1 data_args.k=2 data_args.seq_length=16 model_args.max_length=16 model_args.dim=8 optim_args.batch_size=4
test_batch_size=4 num_data_workers=3 eval_delta=3 optim_args.use_sgd=false checkpoint_every=7""".split()
timeline = ("timeline=0: freeze(layers.1.attention.wk.weight), 40: release(layers.1.attention.wk.weight), every 25: snapshot, "
            "60: scale(output.weight, 0.5), 30: edit(layers.0.attention.pattern=previous_token), 90: unedit(*), "
            "0..50: linear(0, 0.01), 120: initial(layers.0.attention.wo.weight), last: snapshot")
random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 0)

def run(name, folder, iterations):
    return [str(programs / name), *tiny, timeline, f"max_iters={iterations}", f"save_dir={folder}"]

def compared(folder):
    files = [p.relative_to(folder) for p in folder.rglob("*") if p.is_file()]
    return sorted(str(p) for p in files if p.name in ("res.jsonl", "final.safetensors", "exp.npz") or p.parent.name == "snapshots")

def call(line):
    return subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

for name in ("ihead_basic", "ihead_full"):
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        whole, began = place / "whole", time.time()
        done = call(run(name, whole, 400))
        assert done.returncode == 0, done.stderr
        seconds, expected, killed = time.time() - began, compared(whole), 0
        for moment in range(kills):
            folder, line = place / f"run{moment}", None
            line = run(name, folder, 400) + ["resume=auto"]
            # three kills in a row, then to the end; the first may hit the making of the folder
            for _ in range(3):
                child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(random.random() * seconds * 0.6)
                child.kill()
                killed += child.wait() == -9
            done = call(line)
            assert done.returncode == 0, (moment, done.stderr)
            assert compared(folder) == expected, (moment, compared(folder), expected)
            for file in expected:
                assert filecmp.cmp(whole / file, folder / file, shallow=False), f"{name}, run {moment}: {file} differs"
            left = [p.name for p in place.rglob("*") if ".ihead" in p.name]
            assert not left, left
        print(f"{name}: {kills} runs, {killed} kills, {len(expected)} files of each equal to the last byte")
