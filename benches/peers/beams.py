"""The work of the case `beam` and its model in transformers: the same as `benches/src/beam.rs`."""

import torch
from torch_seq2seq import D_FF, D_MODEL, MAX_LENGTH, N_HEADS, N_LAYERS, SOURCE_VOCAB_SIZE, TARGET_VOCAB_SIZE
from transformers import MarianConfig, MarianMTModel

N_TEXTS, SHORTEST, SPREAD = 128, 9, 13
N_BEAMS = 4
# Tokens of each translation. Random weights know no end, so all have this length.
TARGET_LENGTH = 15
N_TOKENS = N_TEXTS * TARGET_LENGTH
# Tokens of a batch, with padding.
BATCH_SIZE = 1024
PAD_ID, START_ID, EOS_ID = 1, 2, 3


def model():
    sizes = {"layers": N_LAYERS, "attention_heads": N_HEADS, "ffn_dim": D_FF}
    layers = {f"{side}_{name}": size for side in ["encoder", "decoder"] for name, size in sizes.items()}
    vocabularies = {"vocab_size": SOURCE_VOCAB_SIZE, "decoder_vocab_size": TARGET_VOCAB_SIZE}
    ids = {"pad_token_id": PAD_ID, "decoder_start_token_id": START_ID, "eos_token_id": EOS_ID, "bos_token_id": START_ID}
    config = MarianConfig(
        d_model=D_MODEL,
        max_position_embeddings=MAX_LENGTH,
        activation_function="relu",
        scale_embedding=True,
        share_encoder_decoder_embeddings=False,
        tie_word_embeddings=False,
        forced_eos_token_id=None,
        **layers,
        **vocabularies,
        **ids,
    )
    return MarianMTModel(config).eval()


def sources():
    """Texts sorted by length, each with its end."""
    lengths = sorted(SHORTEST + text % SPREAD for text in range(N_TEXTS))
    return [torch.randint(EOS_ID + 1, SOURCE_VOCAB_SIZE, (length - 1,)).tolist() + [EOS_ID] for length in lengths]


def batches(sources):
    batch = []
    for source in sources:
        if batch and (len(batch) + 1) * len(source) > BATCH_SIZE:
            yield batch
            batch = []
        batch.append(source)
    yield batch


def padded(batch):
    """Ids and mask."""
    longest = max(map(len, batch))
    rows = [source + [PAD_ID] * (longest - len(source)) for source in batch]
    mask = [[1] * len(source) + [0] * (longest - len(source)) for source in batch]
    return torch.tensor(rows), torch.tensor(mask)
