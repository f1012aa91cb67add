#!/usr/bin/env python3
"""The same blocks by PyTorch's own modules on the CPU, under the identifiers of `cargo xtask bench`.

    pip install torch numpy
    python torch_blocks.py [--repeat N] [--threads N]

Prints a CSV line for each case: identifier, then minimum, median and maximum in milliseconds. The input has no gradient, the
parameters have; the encoder's forward pass is in evaluation, the others are in training with dropout 0.1.
"""

import argparse
import statistics
import time

import torch
from torch import nn


def measure(name, repeat, run):
    for _ in range(3):
        run()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    print(f"{name},{min(times):.4g},{statistics.median(times):.4g},{max(times):.4g}", flush=True)


def attention(repeat, device):
    module = nn.MultiheadAttention(512, 8, dropout=0.1, batch_first=True).train()
    x = torch.rand(60, 100, 512)

    def forward():
        return module(x, x, x, need_weights=True, average_attn_weights=False)

    def without_gradient():
        with torch.no_grad():
            forward()

    shape = "b60-q100-kv100-d512-h8"
    measure(f"mha-forward/{shape}/f32/{device}", repeat, without_gradient)
    measure(f"mha-forward+backward/{shape}/f32/{device}", repeat, lambda: forward()[0].sum().backward())


def encoder(repeat, device):
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.1, activation="gelu", batch_first=True)
    stack = nn.TransformerEncoder(layer, 4)
    x = torch.rand(32, 128, 256)

    def evaluate():
        stack.eval()
        with torch.no_grad():
            stack(x)

    def train():
        stack.train()
        stack(x).sum().backward()

    shape = "n4-b32-t128-d256-h4-ff1024"
    measure(f"encoder-forward/{shape}/f32/{device}", repeat, evaluate)
    measure(f"encoder-forward+backward/{shape}/f32/{device}", repeat, train)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10, help="timed runs of each case, after three to warm up")
    parser.add_argument("--threads", type=int, help="threads PyTorch may use")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = f"torch-{torch.__version__.split('+')[0]}"
    attention(arguments.repeat, device)
    encoder(arguments.repeat, device)


if __name__ == "__main__":
    main()
