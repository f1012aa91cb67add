"""Text to token ids with Hugging Face's `tokenizers` for Python, line by line, to compare with `cargo xtask bench data`.

    pip install tokenizers
    python tokenizers_speed.py TOKENIZER TEXT...

TOKENIZER is a tokenizer.json or the vocab.txt of an uncased BERT; TEXT are files, plain or compressed with gzip. Prints
tokens a second on one thread and on all.
"""

import gzip
import os
import sys
import time

import tokenizers
from tokenizers import BertWordPieceTokenizer, Tokenizer


def lines(path):
    with open(path, "rb") as file:
        opener = gzip.open if file.read(2) == b"\x1f\x8b" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip()]


def main():
    name, *paths = sys.argv[1:]
    tokenizer = BertWordPieceTokenizer(name, lowercase=True) if name.endswith(".txt") else Tokenizer.from_file(name)
    text = [line for path in paths for line in lines(path)]
    size = sum(len(line.encode()) for line in text)
    print(f"tokenizers {tokenizers.__version__}, {len(text)} lines, {size / 1e6:.1f} MB")
    for parallel in ["false", "true"]:
        os.environ["TOKENIZERS_PARALLELISM"] = parallel
        start, n_tokens = time.perf_counter(), 0
        for first in range(0, len(text), 1024):
            batch = tokenizer.encode_batch(text[first : first + 1024], add_special_tokens=False)
            n_tokens += sum(len(encoding.ids) for encoding in batch)
        seconds = time.perf_counter() - start
        threads = "all threads" if parallel == "true" else "one thread"
        print(f"{threads}: {n_tokens} tokens in {seconds:.2f} s, {n_tokens / seconds / 1e6:.3f} million a second")


if __name__ == "__main__":
    main()
