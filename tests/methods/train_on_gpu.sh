#!/bin/sh
# On a machine with a GPU: train there through nccl, go on from a checkpoint, and see that the CPU takes the same path.
# PYTHON=python3 sh tests/methods/train_on_gpu.sh; needs torch, numpy, scikit-learn and tqdm.
set -eu
python=${PYTHON:-.venv/bin/python}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
train="-m optim_code.train --optimizer adam --lr 0.01 --alpha 0.999 --momentum 0.9 --shard --out"
torchrun="$python -m torch.distributed.run --standalone --nproc-per-node 1"
$python -c "import sys, torch; print(torch.cuda.get_device_name()) if torch.cuda.is_available() else sys.exit('no GPU')"
$torchrun $train "$out/gpu" --epochs 10
$torchrun $train "$out/resumed" --epochs 4
$torchrun $train "$out/resumed" --epochs 10 --resume
CUDA_VISIBLE_DEVICES= $python $train "$out/cpu" --epochs 10 >"$out/printed"
$python - "$out" <<'END'
import sys
import numpy as np

gpu, resumed, cpu = (np.loadtxt(f"{sys.argv[1]}/{run}/log.csv", delimiter=",", skiprows=1) for run in ("gpu", "resumed", "cpu"))
assert len(gpu) == len(resumed) == len(cpu) == 11, "a row is missing, or is there twice"
print("resumed against not interrupted, both on the GPU:", abs(resumed - gpu).max())
print("the GPU against the CPU:", abs(gpu - cpu).max())
assert abs(resumed - gpu).max() < 1e-6 and abs(gpu - cpu).max() < 1e-6
END
