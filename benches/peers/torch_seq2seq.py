"""An encoder–decoder in PyTorch, and the batch that it is trained on: the same as `benches/src/translation.rs`."""

import math

import torch
from torch import nn
from torch.nn import functional

N_PAIRS, SOURCE_LENGTH, TARGET_LENGTH, SPREAD = 128, 16, 15, 6
SOURCE_VOCAB_SIZE, TARGET_VOCAB_SIZE, MAX_LENGTH = 7853, 5893, 100
D_MODEL, N_HEADS, D_FF, N_LAYERS = 256, 8, 512, 3
DROPOUT = 0.1


def lengths(longest):
    """Tokens of each row of a side."""
    return longest - SPREAD + torch.arange(N_PAIRS) % (SPREAD + 1)


N_TOKENS = int(sum(lengths(longest).sum() for longest in (SOURCE_LENGTH, TARGET_LENGTH)))


def attend(query, key, value, **mask):
    out = functional.scaled_dot_product_attention(query, key, value, dropout_p=DROPOUT, **mask)
    return out.transpose(1, 2).flatten(2)


def heads(projected, n):
    """Makes heads of `n` projections that were one product."""
    return projected.unflatten(-1, (n, N_HEADS, -1)).transpose(1, 3).unbind(2)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.projections, self.output = nn.Linear(D_MODEL, 3 * D_MODEL), nn.Linear(D_MODEL, D_MODEL)

    def forward(self, x, **mask):
        return self.output(attend(*heads(self.projections(x), 3), **mask))


class CrossAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key_value = nn.Linear(D_MODEL, D_MODEL), nn.Linear(D_MODEL, 2 * D_MODEL)
        self.output = nn.Linear(D_MODEL, D_MODEL)

    def forward(self, x, memory, **mask):
        return self.output(attend(*heads(self.query(x), 1), *heads(self.key_value(memory), 2), **mask))


class Layer(nn.Module):
    """Post-norm, ReLU, dropout of attention weights, of hidden activations and behind each sub-layer."""

    def __init__(self, is_decoder):
        super().__init__()
        self.attention, self.norm_self = SelfAttention(), nn.LayerNorm(D_MODEL)
        if is_decoder:
            self.cross_attention, self.norm_cross = CrossAttention(), nn.LayerNorm(D_MODEL)
        self.linear_in, self.linear_out = nn.Linear(D_MODEL, D_FF), nn.Linear(D_FF, D_MODEL)
        self.norm_ff = nn.LayerNorm(D_MODEL)

    def forward(self, x, memory, is_kept):
        if memory is None:
            x = self.norm_self(x + functional.dropout(self.attention(x, attn_mask=is_kept), DROPOUT))
        else:
            x = self.norm_self(x + functional.dropout(self.attention(x, is_causal=True), DROPOUT))
            attended = self.cross_attention(x, memory, attn_mask=is_kept)
            x = self.norm_cross(x + functional.dropout(attended, DROPOUT))
        hidden = functional.dropout(functional.relu(self.linear_in(x)), DROPOUT)
        return self.norm_ff(x + functional.dropout(self.linear_out(hidden), DROPOUT))


class Side(nn.Module):
    """Tokens with learned positions, and a stack of layers."""

    def __init__(self, vocab_size, is_decoder):
        super().__init__()
        self.token, self.position = nn.Embedding(vocab_size, D_MODEL), nn.Embedding(MAX_LENGTH, D_MODEL)
        self.layers = nn.ModuleList(Layer(is_decoder) for _ in range(N_LAYERS))

    def forward(self, ids, memory, is_kept):
        x = self.token(ids) * math.sqrt(D_MODEL) + self.position.weight[: ids.size(1)]
        x = functional.dropout(x, DROPOUT)
        for layer in self.layers:
            x = layer(x, memory, is_kept)
        return x


class Seq2Seq(nn.Module):
    """Its loss, of logits only where there is a token to predict."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Side(SOURCE_VOCAB_SIZE, False), Side(TARGET_VOCAB_SIZE, True)
        self.output = nn.Linear(D_MODEL, TARGET_VOCAB_SIZE, bias=False)

    def forward(self, source, target, is_kept, places, labels):
        memory = self.encoder(source, None, is_kept)
        hidden = self.decoder(target, memory, is_kept).flatten(0, 1)
        return functional.cross_entropy(self.output(hidden[places]), labels)


def batch():
    source = torch.randint(SOURCE_VOCAB_SIZE, (N_PAIRS, SOURCE_LENGTH))
    target = torch.randint(TARGET_VOCAB_SIZE, (N_PAIRS, TARGET_LENGTH))
    # One mask for all heads and queries.
    is_kept = (torch.arange(SOURCE_LENGTH) < lengths(SOURCE_LENGTH)[:, None])[:, None, None]
    is_token = torch.arange(TARGET_LENGTH) < lengths(TARGET_LENGTH)[:, None]
    places = is_token.flatten().nonzero().squeeze(1)
    return source, target, is_kept, places, torch.randint(TARGET_VOCAB_SIZE, places.shape)
