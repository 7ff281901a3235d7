"""Compares runs on a GPU, or on the device without one that computes, with the same runs on the CPU, both in single precision.

    compare.py [--real] [PROGRAMS]      PROGRAMS: the folder of the programs, target/cuda/build/release/examples without it

The golden cases of `tests/golden`, and three variations: the largest difference of a weight after the last step. Exits with 1 if one is
above 1e-5. With `--real` the programs run as they are, on the GPU of this machine.
"""
import array, json, os, pathlib, struct, subprocess, sys, tempfile

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
MOST = 1e-5


def run(program, settings):
    ran = subprocess.run([PROGRAMS / program, *settings], env=ENV, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{program} {' '.join(settings)}\n{ran.stderr}")


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


def golden(folder, scratch):
    case = json.loads((folder / "case.json").read_text())
    program = {"basic": "ihead_basic", "full": "ihead_full"}[case["script"]]
    overrides = [setting for setting in case["overrides"] if not setting.startswith("eval_delta=")]
    files = []
    for device in ("cpu", "cuda"):
        out = scratch / device
        run(program, [*overrides, "test_batch_size=8", "eval_delta=1000", "precision=single", f"device={device}",
                      f"init_from={folder / 'init.safetensors'}", f"save_dir={out}"])
        files.append(out / "final.safetensors")
    return difference(*files)


def variation(name, scratch):
    for device in ("cpu", "cuda"):
        (scratch / device).mkdir()
        run("variation_time", [f"variations={name}", "seq=24", "dim=16", "batch=6", "steps=3", f"device={device}",
                               "precision=single", f"weights={scratch / device}"])
    return difference(*(scratch / device / f"{name}.safetensors" for device in ("cpu", "cuda")))


cases = [(folder.name, golden, folder) for folder in sorted((ROOT / "tests/golden").iterdir())
         if folder.is_dir() and folder.name != REFUSED]
cases += [(f"variation {name}", variation, name) for name in VARIATIONS]
largest = 0.0
for name, compare, of in cases:
    with tempfile.TemporaryDirectory() as scratch:
        error, where = compare(of, pathlib.Path(scratch))
    largest = max(largest, error)
    print(f"{name:<36} {error:.1e}  {where}", flush=True)
print(f"{len(cases)} comparisons, the largest difference {largest:.1e}")
sys.exit(largest > MOST)
