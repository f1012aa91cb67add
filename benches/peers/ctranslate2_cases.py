"""The case `beam` of `cargo xtask bench --peers` in CTranslate2: the same work as `benches/src/beam.rs`.

    pip install torch numpy transformers ctranslate2
    python ctranslate2_cases.py beam [--dtype f32|int8] [--threads N] [--repeat N]

Prints a line of JSON.
"""

import argparse
import json
import multiprocessing
import tempfile
from pathlib import Path
from types import SimpleNamespace

import ctranslate2
import measuring

COMPUTE_TYPES = {"f32": "float32", "int8": "int8"}


def write(folder):
    """Writes the model, the sources, and how they are translated."""
    import beams
    import torch
    from translate import Conversion

    torch.manual_seed(0)
    sides = beams.SOURCE_VOCAB_SIZE, beams.TARGET_VOCAB_SIZE
    vocabularies = [[str(number) for number in range(size)] for size in sides]
    marian = SimpleNamespace(model=beams.model(), vocabularies=vocabularies, eos_id=beams.EOS_ID)
    Conversion(marian).convert(str(folder / "model"))
    work = {
        "source": [[str(token) for token in source] for source in beams.sources()],
        "beam_size": beams.N_BEAMS,
        "min_decoding_length": beams.TARGET_LENGTH,
        "max_decoding_length": beams.TARGET_LENGTH,
        "max_batch_size": beams.BATCH_SIZE,
    }
    (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments = measuring.arguments(parser, ["beam"], COMPUTE_TYPES)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        # In a process of its own, whose memory does not count.
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder,))
        writer.start()
        writer.join()
        if writer.exitcode != 0:
            raise SystemExit("the model was not converted")
        run(folder, arguments)


def run(folder, arguments):
    # A thread for each batch: threads that share one wait for each other.
    translator = ctranslate2.Translator(
        str(folder / "model"),
        compute_type=COMPUTE_TYPES[arguments.dtype],
        inter_threads=arguments.threads,
        intra_threads=1,
    )
    work = json.loads((folder / "work.json").read_text(encoding="utf-8"))

    def translate():
        found = translator.translate_batch(**work, batch_type="tokens")
        assert all(len(result.hypotheses[0]) == work["max_decoding_length"] for result in found)

    n_tokens = len(work["source"]) * work["max_decoding_length"]
    measuring.measure(ctranslate2, "beam", n_tokens, translate, arguments)


if __name__ == "__main__":
    main()
