"""Translates a file line by line with a Marian, by transformers or by CTranslate2, to compare with our own decoding.

    pip install torch numpy transformers tokenizers ctranslate2
    python translate.py MODEL SOURCE --engine torch|ctranslate2 --out FILE [--compute-type float32|int8]
        [--beam N] [--length-penalty A] [--batch-size TOKENS] [--threads N]

MODEL is a folder as transformers saves it: `config.json`, `generation_config.json` and `model.safetensors`; beside
them `tokenizer.json`, and `target_tokenizer.json` where the target has a vocabulary of its own, for the library
`tokenizers`. A source is the tokens of its line, cut to the positions that the model has, and the token of the end.

Prints a line of JSON. Its seconds are those from lines to translations, without loading; tokens are counted without
those of the end. A search is over when as many hypotheses as beams have ended (`early_stopping` of transformers),
and a target has at most 50 tokens more than the longest source, of the batch in PyTorch, of all in CTranslate2.
CTranslate2 answers an empty line with an empty one.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import ctranslate2
import tokenizers
import torch
import transformers
from ctranslate2.converters import Converter
from ctranslate2.converters.transformers import BartLoader


# Tokens that a target may have more than its source.
MORE = 50


class Marian:
    """The model, and what makes its ids of lines and lines of ids."""

    def __init__(self, folder):
        self.model = transformers.MarianMTModel.from_pretrained(folder, dtype=torch.float32).eval()
        config = self.model.config
        self.pad_id, self.eos_id = config.pad_token_id, config.eos_token_id
        self.max_source_length = config.max_position_embeddings
        # The start and the end count.
        self.max_target_length = self.model.generation_config.max_length or config.max_position_embeddings
        self.source = load_tokenizer(folder / "tokenizer.json")
        of_target = folder / "target_tokenizer.json"
        self.target = load_tokenizer(of_target) if of_target.exists() else self.source
        sides = (self.source, config.vocab_size), (self.target, config.decoder_vocab_size)
        # A model may have rows that belong to no token.
        self.vocabularies = [[it.id_to_token(n) or f"<row {n}>" for n in range(size)] for it, size in sides]

    def encode(self, lines):
        found = self.source.encode_batch(lines, add_special_tokens=False)
        return [encoding.ids[: self.max_source_length - 1] + [self.eos_id] for encoding in found]

    def up_to_end(self, ids):
        return ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids


def load_tokenizer(path):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Torch:
    def __init__(self, marian, arguments):
        torch.set_num_threads(arguments.threads)
        self.marian, self.batch_size = marian, arguments.batch_size
        self.options = {
            "num_beams": arguments.beam,
            "length_penalty": arguments.length_penalty,
            "early_stopping": arguments.beam > 1,
            "do_sample": False,
            "use_cache": True,
        }

    def translate(self, sources):
        targets = [None] * len(sources)
        for batch in batches(sources, self.batch_size):
            longest = len(sources[batch[-1]])
            ids = torch.full((len(batch), longest), self.marian.pad_id)
            for row, line in enumerate(batch):
                ids[row, : len(sources[line])] = torch.tensor(sources[line])
            is_token = torch.arange(longest) < torch.tensor([len(sources[line]) for line in batch])[:, None]
            with torch.inference_mode():
                max_length = min(self.marian.max_target_length, longest + MORE + 2)
                found = self.marian.model.generate(
                    input_ids=ids, attention_mask=is_token.long(), max_length=max_length, **self.options
                )
            for line, target in zip(batch, found[:, 1:].tolist()):
                targets[line] = target
        return targets


def batches(sources, n_tokens):
    """Numbers of sources, sorted by length, in batches of up to `n_tokens` with their padding."""
    batch = []
    for line in sorted(range(len(sources)), key=lambda line: len(sources[line])):
        if batch and (len(batch) + 1) * len(sources[line]) > n_tokens:
            yield batch
            batch = []
        batch.append(line)
    if batch:
        yield batch


class CTranslate2:
    def __init__(self, marian, arguments):
        self.source, target = marian.vocabularies
        # The longest target that transformers gives, without start and end.
        self.max_length = marian.max_target_length - 2
        self.target_ids = {token: number for number, token in enumerate(target)}
        forbidden = marian.model.generation_config.bad_words_ids or []
        self.options = {
            "beam_size": arguments.beam,
            "length_penalty": arguments.length_penalty,
            "min_decoding_length": 0,
            "suppress_sequences": [[target[number] for number in sequence] for sequence in forbidden],
            "max_batch_size": arguments.batch_size,
            "batch_type": "tokens",
        }
        with tempfile.TemporaryDirectory() as folder:
            Conversion(marian).convert(folder, force=True)
            # A thread for each batch: threads that share one wait for each other.
            self.translator = ctranslate2.Translator(
                folder, compute_type=arguments.compute_type, inter_threads=arguments.threads, intra_threads=1
            )

    def translate(self, sources):
        sources = [[self.source[number] for number in source] for source in sources]
        max_length = min(self.max_length, max(map(len, sources)) + MORE)
        found = self.translator.translate_batch(sources, max_decoding_length=max_length, **self.options)
        return [[self.target_ids[token] for token in result.hypotheses[0]] for result in found]


class Conversion(Converter):
    """CTranslate2's own class for a Marian expects one vocabulary, and a decoder that starts from zero; here each side
    may have a vocabulary of its own, and the start is a token with a vector."""

    def __init__(self, marian):
        self.marian = marian

    def _load(self):
        model, (source, target) = self.marian.model, self.marian.vocabularies
        model.config.normalize_before = model.config.normalize_embedding = False
        with torch.no_grad():
            spec = BartLoader().get_model_spec(model)
        spec.register_source_vocabulary(source)
        spec.register_target_vocabulary(target)
        spec.config.decoder_start_token = target[model.config.decoder_start_token_id]
        # Every source is made of tokens of the vocabulary, so that the others stand for nothing.
        spec.config.eos_token = spec.config.bos_token = spec.config.unk_token = target[self.marian.eos_id]
        return spec


ENGINES = {"torch": Torch, "ctranslate2": CTranslate2}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="where the translations are written")
    parser.add_argument("--compute-type", choices=["float32", "int8"], default="float32", help="int8: ctranslate2 only")
    parser.add_argument("--beam", type=int, metavar="N", default=4, help="hypotheses; 1 is greedy [4]")
    parser.add_argument("--length-penalty", type=float, metavar="A", default=1.0, help="scores / length ** A [1]")
    parser.add_argument("--batch-size", type=int, metavar="TOKENS", default=1024, help="with padding [1024]")
    parser.add_argument("--threads", type=int, metavar="N", default=torch.get_num_threads(), help="[all cores]")
    arguments = parser.parse_args()
    if arguments.engine == "torch" and arguments.compute_type != "float32":
        parser.error("--compute-type int8 needs --engine ctranslate2")

    with arguments.source.open(encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    marian = Marian(arguments.model)
    engine = ENGINES[arguments.engine](marian, arguments)
    start = time.perf_counter()
    sources = marian.encode(lines)
    targets = [marian.up_to_end(ids) for ids in engine.translate(sources)]
    texts = marian.target.decode_batch(targets)
    seconds = time.perf_counter() - start

    arguments.out.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    n_target = sum(map(len, targets))
    line = {
        "engine": arguments.engine,
        "compute_type": arguments.compute_type,
        "beam": arguments.beam,
        "threads": arguments.threads,
        "seconds": round(seconds, 3),
        "sentences": len(lines),
        "source_tokens": sum(map(len, sources)) - len(sources),
        "target_tokens": n_target,
        "target_tokens_per_s": round(n_target / seconds),
        "versions": {it.__name__: it.__version__ for it in (torch, transformers, ctranslate2, tokenizers)},
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
