"""Training steps of BERT's pretraining by processes of PyTorch that share a batch (DistributedDataParallel on gloo): the other side
of `cargo xtask bench --ranks`.

    pip install torch numpy
    python torch_ranks.py SIZE [--ranks N] [--threads N] [--steps N]

A step is cut into two micro-batches, whatever the number of processes: one process adds their gradients, two have one each.
Prints a line of JSON.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import time

import torch
import torch_cases
from torch import nn

N_MICRO_BATCHES = 2
# Sizes of the model, and rows of a micro-batch: those of `xtask/src/bench/ranks.rs`.
SIZES = {
    "bert-mini": {"D_MODEL": 256, "N_HEADS": 4, "D_FF": 1024, "N_LAYERS": 4, "VOCAB_SIZE": 8192, "BATCH_SIZE": 16},
    "bert-base": {"D_MODEL": 768, "N_HEADS": 12, "D_FF": 3072, "N_LAYERS": 12, "VOCAB_SIZE": 30522, "BATCH_SIZE": 8},
}
WARM_UP = 2


def micro_batch():
    rows, length = torch_cases.BATCH_SIZE, torch_cases.SEQ_LENGTH
    n_masked = rows * 19
    ids, labels = torch_cases.tokens(rows, length), torch_cases.tokens(n_masked)
    return ids, torch.randperm(rows * length)[:n_masked], labels, torch.arange(rows) % 2


def train(rank, arguments, port):
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    for name, value in SIZES[arguments.size].items():
        setattr(torch_cases, name, value)
    together = arguments.ranks > 1
    model = torch_cases.Bert()
    torch.manual_seed(1 + rank)
    if together:
        # The same everywhere: nothing to send.
        segments = model._buffers.pop("segments")
        model.segments = segments
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        torch.distributed.init_process_group("gloo", rank=rank, world_size=arguments.ranks)
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    batches = [micro_batch() for _ in range(N_MICRO_BATCHES // arguments.ranks)]
    milliseconds = []
    for step in range(WARM_UP + arguments.steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        for number, batch in enumerate(batches, 1):
            is_last = number == len(batches)
            with model.no_sync() if together and not is_last else contextlib.nullcontext():
                (model(*batch) / len(batches)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= WARM_UP:
            milliseconds.append((time.perf_counter() - start) * 1e3)
    if rank == 0:
        line = {
            "ms": round(statistics.median(milliseconds), 2),
            "min": round(min(milliseconds), 2),
            "max": round(max(milliseconds), 2),
            "peak_rss_mib": torch_cases.peak_rss_mib(),
            "torch": torch.__version__,
        }
        print(json.dumps(line), flush=True)
    if together:
        torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--ranks", type=int, choices=[1, 2], default=1, help="processes that share the batch")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--steps", type=int, default=10, help="timed steps, after two to warm up")
    arguments = parser.parse_args()
    if arguments.ranks == 1:
        train(0, arguments, None)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(train, (arguments, port), nprocs=arguments.ranks)


if __name__ == "__main__":
    main()
