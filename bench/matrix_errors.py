"""Errors of lce's products in matrices, and of PyTorch's two stages, on the same inputs against float64:
of halves beside bf16 and f16; with `bfloat16` of values in bf16, which halves need not hold as they are;
or with `float32` of f32, each operand split in two, beside f32 (no TF32) and beside products of f32.
Needs torch, a CUDA GPU, Dawn (scripts/setup.sh --dawn) and deno; run it at the tree's root:

    python3 bench/matrix_errors.py [float32|bfloat16 [TOKENS HIDDEN VOCAB]]
"""
import json, struct, subprocess, sys, tempfile
import numpy as np
import torch
import torch.nn.functional as F

SINGLE = sys.argv[1:2] == ["float32"]
BRAIN = sys.argv[1:2] == ["bfloat16"]
TOKENS, HIDDEN, VOCAB = map(int, sys.argv[2:5]) if len(sys.argv) > 2 else (1024, 2304, 32768)
KINDS = {"F32": np.float32, "I32": np.int32, "U32": np.uint32}


def write(path, tensors, metadata):
    """Writes a safetensors file."""
    head, at, blobs = {"__metadata__": metadata}, 0, []
    for name, (dtype, values) in tensors.items():
        blob = np.ascontiguousarray(values).tobytes()
        head[name] = dict(dtype=dtype, shape=list(values.shape), data_offsets=[at, at + len(blob)])
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            file.write(blob)


def read(path):
    """Reads the tensors of a safetensors file."""
    with open(path, "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    head.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(data, KINDS[of["dtype"]], int(np.prod(of["shape"])), of["data_offsets"][0])
            .reshape(of["shape"]).copy()
        ).cuda()
        for name, of in head.items()
    }


def both(values):
    """The values themselves in f32; in bf16 the nearest; else the nearest values that bf16 and f16 hold: eight bits, none of them below 2^-24."""
    if SINGLE:
        return values
    if BRAIN:
        return values.bfloat16()
    return torch.where(values.abs() < 2**-16, torch.zeros_like(values), values).bfloat16()


for name, size in (("flat", 0.5), ("peaked", 8.0)):
    torch.manual_seed(1)
    h = both(torch.randn(TOKENS, HIDDEN, device="cuda") * size)
    w = both(torch.randn(VOCAB, HIDDEN, device="cuda") * HIDDEN**-0.5)
    y = torch.randint(0, VOCAB, (TOKENS,), device="cuda")
    if not SINGLE and not BRAIN:
        assert torch.equal(h.half().double(), h.double()) and torch.equal(w.half().double(), w.double())

    def two_stage(dtype):
        a, b = (x.detach().clone().to(dtype).requires_grad_() for x in (h, w))
        z = a @ b.T
        z = z if dtype == torch.float64 else z.float()
        F.cross_entropy(z, y).backward()
        lse = torch.logsumexp(z, 1).detach()
        return lse - z.detach().gather(1, y[:, None])[:, 0], lse, a.grad, b.grad

    truth = two_stage(torch.float64)

    def show(who, got):
        errors = (((g.double() - t).norm() / t.norm()).item() for g, t in zip(got, truth))
        print(name, who, *(f"{what} {e:.1e}" for what, e in zip(("loss", "lse", "dH", "dW"), errors)))

    for dtype in (torch.float32,) if SINGLE else (torch.bfloat16,) if BRAIN else (torch.bfloat16, torch.float16):
        show(f"PyTorch two-stage {dtype}", two_stage(dtype))
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = f"{folder}/{name}.safetensors", f"{folder}/results.safetensors"
        stored, to = ("F32", torch.float32) if SINGLE else ("F16", torch.float16)
        stored, bits = ("BF16", lambda x: x.view(torch.int16)) if BRAIN else (stored, lambda x: x.to(to))
        tensors = {
            "hidden": (stored, bits(h).cpu().numpy()),
            "weight": (stored, bits(w).cpu().numpy()),
            "targets": ("I32", y.int().cpu().numpy()),
        }
        write(inputs, tensors, {"case": name, "options": "{}"})
        ways = [("dawn-unchecked", "windowed"), ("dawn-unchecked", "chunked")]
        for webgpu, strategy in ways + ([("deno", "chunked")] if SINGLE else []):
            command = ["deno", "task", "lce", "run", inputs, "--pass", "train", "--strategy", strategy]
            command += ["--webgpu", webgpu, "--reference", "sampled", "--output", outputs, "--force"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            ours = read(outputs)
            show(f"lce {webgpu} {strategy}", (-ours["logprob"], ours["lse"], ours["grad_hidden"], ours["grad_weight"]))
