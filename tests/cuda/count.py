"""Counts what one step of training asks of a GPU, on the device that only counts (`build.sh` makes both).

    count.py [PROGRAMS]      the folder of the programs; target/cuda/build/release/examples without it

A step is the difference of two runs, divided by the steps between them; the memory is that of a whole run.
"""
import os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target/cuda/build/release/examples"
# the README's first run: freezing, plain gradient descent, the loss on some positions
README = ["loss_head_only=true", "optim_args.use_sgd=true", "model_args.freeze_embeddings=true",
          "model_args.freeze_output=true", "model_args.final_ffn=false", "data_args.fixed_special_toks=true"]
RUNS = [
    ("full, batch 64", "ihead_full", ["optim_args.batch_size=64"]),
    ("full, batch 512", "ihead_full", ["optim_args.batch_size=512"]),
    ("basic, batch 512", "ihead_basic", ["optim_args.batch_size=512", *README]),
]
FEW, MORE = 4, 8


def counts(program, settings, steps):
    with tempfile.NamedTemporaryFile("r") as file:
        line = [PROGRAMS / program, "device=cuda", "data_args.k=5", "eval_delta=1000", "test_batch_size=8",
                "on_divergence=continue", f"max_iters={steps}", *settings]
        env = os.environ | {"COUNTS": file.name, "LD_LIBRARY_PATH": str(ROOT / "target/cuda/device")}
        env.pop("KERNELS", None)
        subprocess.run(line, env=env, check=True, stdout=subprocess.DEVNULL)
        rows = (row.rstrip("\n").split("\t") for row in file)
        return {name: (int(calls), float(amount)) for name, calls, amount in rows}


def column(program, settings):
    few, more = (counts(program, settings, steps) for steps in (FEW, MORE))

    def step(chosen, which=0):
        of = lambda all: sum(total[which] for name, total in all.items() if name.startswith(chosen))
        return (of(more) - of(few)) / (MORE - FEW)

    return {
        "kernels": step("kernel"),
        "products": step("product"),
        "memsets": step("memsets"),
        "copies on the device": step("copies on"),
        "shapes and strides sent up": step("copy up small"),
        "other copies up": step("copy up large"),
        "other copies up, kB": step("copy up large", 1) / 1e3,
        "copies down": step("copy down"),
        "copies down, kB": step("copy down", 1) / 1e3,
        "peak memory, GB": more["peak"][1] / 1e9,
        "devices opened": float(more["contexts"][0]),
    }


columns = [column(program, settings) for _, program, settings in RUNS]
print("| a step | " + " | ".join(name for name, _, _ in RUNS) + " |")
print("|---|" + "---|" * len(RUNS))
for row in columns[0]:
    print(f"| {row} | " + " | ".join(f"{column[row]:,.2f}".rstrip("0").rstrip(".") for column in columns) + " |")
