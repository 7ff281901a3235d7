"""Compares runs on a GPU, or on the device without one that computes, with the same runs on the CPU.

    compare.py [--real] [PROGRAMS]      PROGRAMS: the folder of the programs, target/cuda/build/release/examples without it

The golden cases of `tests/golden`, and three variations: the largest difference of a weight after the last step. In single precision all
of them train by SGD: AdamW moves a weight by its learning rate however small its gradient is, and so by what rounding makes of it. In double
precision each has its own optimiser. Exits with 1 if a difference is above 1e-5, or in double precision above 1e-9. With `--real` the
programs run as they are, on the GPU of this machine. ONLY=TEXT compares those that have this text in their name; JOBS=N compares
N at once, as many as there are cores without it.
"""
import array, json, os, pathlib, struct, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = "--real" in sys.argv
PLACES = [argument for argument in sys.argv[1:] if argument != "--real"]
PROGRAMS = pathlib.Path(PLACES[0]) if PLACES else ROOT / "target/cuda/build/release/examples"
DEVICE = ROOT / "target/cuda/device"
ENV = os.environ if REAL else os.environ | {"LD_LIBRARY_PATH": str(DEVICE), "KERNELS": str(DEVICE / "libkernels.so")}
# reductions on the device, rotary positions with a gated feed-forward layer, a pattern that is clamped
VARIATIONS = ["v2", "llama", "v6"]
# a loss over nothing, which the programs refuse
REFUSED = "basic_empty_selection"
MOST = {"single": 1e-5, "double": 1e-9}


def run(program, settings):
    ran = subprocess.run([PROGRAMS / program, *settings], env=ENV, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{program} {' '.join(settings)}\n{ran.stderr}")


def tensors(path):
    """The tensors of a safetensors file, by name, as lists of numbers."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, tensor in header.items():
        begin, end = (8 + length + offset for offset in tensor["data_offsets"])
        found[name] = array.array({"F32": "f", "F64": "d"}[tensor["dtype"]], content[begin:end])
    return found


def difference(cpu, gpu):
    """The largest difference of two files, and where it is."""
    a, b = tensors(cpu), tensors(gpu)
    assert a.keys() == b.keys() and a, "the same tensors"
    worst = lambda name: max((abs(x - y) if x == x and y == y else float("inf") for x, y in zip(a[name], b[name])), default=0.0)
    return max((worst(name), name) for name in a)


def golden(folder, scratch, precision):
    case = json.loads((folder / "case.json").read_text())
    program = {"basic": "ihead_basic", "full": "ihead_full"}[case["script"]]
    given = ["eval_delta=", "optim_args.use_sgd=", "optim_args.learning_rate="] if precision == "single" else ["eval_delta="]
    overrides = [setting for setting in case["overrides"] if not setting.startswith(tuple(given))]
    if precision == "single":
        overrides += ["optim_args.use_sgd=true", "optim_args.learning_rate=0.1"]
    files = []
    for device in ("cpu", "cuda"):
        out = scratch / device
        run(program, [*overrides, "test_batch_size=8", "eval_delta=1000", f"precision={precision}", f"device={device}",
                      f"init_from={folder / 'init.safetensors'}", f"save_dir={out}"])
        files.append(out / "final.safetensors")
    return difference(*files)


def variation(name, scratch, precision):
    optimiser = "sgd(learning_rate=0.1)" if precision == "single" else "adamw(learning_rate=0.003)"
    for device in ("cpu", "cuda"):
        (scratch / device).mkdir()
        run("variation_time", [f"variations=[{name}]", "seq=24", "dim=16", "batch=6", "steps=3", f"device={device}",
                               f"optim={optimiser}", f"precision={precision}", f"weights={scratch / device}"])
    return difference(*(scratch / device / f"{name}.safetensors" for device in ("cpu", "cuda")))


cases = [(folder.name, golden, folder) for folder in sorted((ROOT / "tests/golden").iterdir())
         if folder.is_dir() and folder.name != REFUSED]
cases += [(f"variation {name}", variation, name) for name in VARIATIONS]
# a part of their names, to compare some
cases = [case for case in cases if os.environ.get("ONLY", "") in case[0]]


def compared(case):
    """The largest difference of a case in one precision, and where it is; what a program said, if it failed."""
    name, compare, of, precision = case
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return compare(of, pathlib.Path(scratch), precision)
        except RuntimeError as error:
            return float("inf"), str(error)


cases = [(*case, precision) for case in cases for precision in MOST]
largest = dict.fromkeys(MOST, 0.0)
with ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool:
    for (name, _, _, precision), (error, where) in zip(cases, pool.map(compared, cases)):
        largest[precision] = max(largest[precision], error)
        print(f"{name:<36} {precision:<7} {error:.1e}  {where}", flush=True)
print(f"{len(cases) // len(MOST)} cases, the largest differences: {', '.join(f'{p} {error:.1e}' for p, error in largest.items())}")
sys.exit(any(largest[precision] > MOST[precision] for precision in MOST))
