"""What runs said that they would hold in memory, and what they held: the table of docs/faults.md.

    python3 tests/python/memory_table.py target/release/examples > table.md

Each run takes two steps. The estimate is that of `run.json`, or, for a run without a folder, of the line that refuses it under a limit of the
system's; the peak is the system's count for the whole process (`ru_maxrss`). Ends with status 1 if one is more than 30 % off.
"""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

BASE = "max_iters=2 eval_delta=1 data_args.k=3 num_data_workers=1 test_batch_size=8 log=quiet"


def sizes(program, seq, dim, batch, more=""):
    return program, f"data_args.seq_length={seq} model_args.max_length={seq} model_args.dim={dim} optim_args.batch_size={batch} {more}"


RUNS = [
    # widths
    *[sizes("ihead_basic", 64, dim, 16, "threads=2") for dim in (64, 128, 256, 512, 1024)],
    *[sizes("ihead_full", 64, dim, 16, "threads=2") for dim in (64, 128, 256, 512, 1024)],
    *[sizes("any_transformer", 64, dim, 16, "threads=2") for dim in (64, 128, 256, 512, 1024)],
    # lengths
    *[sizes("ihead_basic", seq, 64, 4, "threads=2") for seq in (32, 256, 1024)],
    *[sizes("ihead_full", seq, 64, 4, "threads=2") for seq in (32, 256, 1024)],
    *[sizes("any_transformer", seq, 64, 4, "threads=2 model_args.heads=4") for seq in (32, 256, 1024)],
    # batches
    *[sizes("ihead_basic", 64, 64, batch, "threads=2") for batch in (1, 512)],
    *[sizes("ihead_full", 64, 64, batch, "threads=2") for batch in (1, 512)],
    *[sizes("any_transformer", 64, 64, batch, "threads=2") for batch in (1, 512)],
    sizes("ihead_basic", 16, 8, 200000, "threads=2 test_batch_size=100000"),
    # threads
    *[sizes(program, 128, 256, 8, f"threads={n}") for program in ("ihead_basic", "ihead_full") for n in (1, 2, 4)],
    # precision, optimiser
    *[sizes(program, 128, 256, 8, more) for program in ("ihead_basic", "ihead_full", "any_transformer") for more in (
        "threads=2 precision=double optim_args.use_sgd=true",
        "threads=2 precision=double optim_args.use_sgd=false",
        "threads=2 precision=single optim_args.use_sgd=true",
    )],
    # evaluation, snapshots, no checkpoints
    *[sizes(program, 128, 256, 8, more) for program in ("ihead_basic", "ihead_full", "any_transformer") for more in (
        "threads=2 data_args.k=0" + (" loss_head_only=false" if program != "ihead_full" else ""),
        "threads=2 timeline=1:snapshot",
        "threads=2 timeline=1:initial(output.weight)",
        "threads=2 test_batch_size=512",
        "threads=2 NO_FOLDER",
    )],
    # other blocks
    *[sizes("any_transformer", 128, 256, 8, "threads=2 model_args.heads=4 " + more) for more in (
        "model_args.positions=rotary model_args.norm=rms model_args.gated=true model_args.activation=silu model_args.key_heads=1",
        "model_args.positions=relative model_args.normaliser=sigmoid model_args.window=16 model_args.qk_norm=true",
        "model_args.wq=low_rank model_args.wk=low_rank model_args.wv=identity model_args.wo=frozen model_args.ff=none",
        "model_args.layers=8 model_args.wiring=post_norm",
    )],
]


def measured(folder, program, settings):
    """Estimate and peak, in bytes."""
    with tempfile.TemporaryDirectory() as place:
        bare = "NO_FOLDER" in settings
        given = dict(setting.split("=", 1) for setting in f"{BASE} {settings.replace('NO_FOLDER', '')}".split())
        line = [folder / program, *(f"{key}={value}" for key, value in given.items())]
        line += [] if bare else [f"save_dir={place}/run"]
        process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        said = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, said
        peak = usage.ru_maxrss * 1024
        if not bare:
            return json.loads(pathlib.Path(place, "run/run.json").read_text())["estimated_memory"], peak
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (30 << 20, 30 << 20))
        refused = subprocess.run(line, stderr=subprocess.PIPE, preexec_fn=limit).stderr.decode()
        number, unit = re.search(r"needs about ([0-9.]+) (MB|GB) of memory", refused).groups()
        return float(number) * {"MB": 1e6, "GB": 1e9}[unit], peak


def main():
    folder, off = pathlib.Path(sys.argv[1]).resolve(), []
    print("| run | estimated MB | peak MB | ratio |\n|---|---|---|---|")
    for program, settings in RUNS:
        estimate, peak = measured(folder, program, settings)
        ratio = estimate / peak
        off += [] if 0.7 <= ratio <= 1.3 else [ratio]
        short = re.sub(r"(data|model|optim)_args\.", "", settings).replace("NO_FOLDER", "no save_dir")
        short = re.sub(r"seq_length=(\S+) max_length=\S+ dim=(\S+) batch_size=(\S+)", r"seq \1, dim \2, batch \3,", short)
        print(f"| `{program}` {short.strip(' ,')} | {estimate / 1e6:.1f} | {peak / 1e6:.1f} | {ratio:.2f} |", flush=True)
    print(f"{len(RUNS)} runs, {len(off)} more than 30 % off", file=sys.stderr)
    sys.exit(bool(off))


main()
