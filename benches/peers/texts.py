"""Random texts and the model of BERT's kind that makes vectors of them: the same as `benches/src/embedding.rs`."""

import torch
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertModel

VOCAB_SIZE = 30_522
# The sizes of MiniLM with six layers.
SIZES = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
BATCH_SIZE = 32


class Embedder(nn.Module):
    """The mean of a text's hidden states, made one long."""

    def __init__(self, attention="sdpa"):
        super().__init__()
        self.bert = BertModel(BertConfig(**SIZES, attn_implementation=attention), add_pooling_layer=False)

    def forward(self, ids, mask):
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1).to(hidden.dtype)
        return functional.normalize((hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9))


def lengths(case):
    """Tokens of each text. Of a thousand: quantiles of a log-logistic distribution, between 8 and 256, with a mean of 29."""
    if case == "embed-one":
        return [12]
    n_texts = 1000
    shares = ((text + 0.5) / n_texts for text in range(n_texts))
    return [min(256, max(8, int(22.102 * (share / (1 - share)) ** 0.4 + 0.5))) for share in shares]


def batches(lengths):
    """Ids and masks of texts sorted by length, 32 in a batch, padded to the longest of it."""

    def batch(lengths):
        ids = torch.randint(VOCAB_SIZE, (len(lengths), max(lengths)))
        return ids, (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()

    return [batch(lengths[first : first + BATCH_SIZE]) for first in range(0, len(lengths), BATCH_SIZE)]
