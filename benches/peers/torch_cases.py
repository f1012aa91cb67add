"""The cases of `cargo xtask bench --peers` in PyTorch on the CPU: the same work as `benches/src/cases.rs`.

    pip install torch numpy transformers peft
    python torch_cases.py CASE [--dtype f32|bf16] [--compile] [--threads N] [--repeat N]

Prints a line of JSON for each pass of the case. Where PyTorch has a fused operator, it is used: scaled dot-product
attention, one product for query, key and value, Adam and AdamW. Texts become vectors and translations, and a checkpoint a model,
by transformers; `lora-step` alone needs peft.
"""

import argparse
import multiprocessing
import tempfile

import measuring
import torch
import torch_seq2seq
from torch import nn
from torch.nn import functional

BATCH_SIZE, SEQ_LENGTH, D_MODEL, N_HEADS, D_FF, N_LAYERS = 32, 128, 256, 4, 1024, 4
VOCAB_SIZE, N_MASKED = 8192, 32 * 19
DROPOUT = 0.1
N_TOKENS = BATCH_SIZE * SEQ_LENGTH


class MultiHeadAttention(nn.Module):
    """With the weights as a result, which takes scores and softmax one by one."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value, self.output = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x):
        def heads(projection):
            return projection(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

        query, key, value = heads(self.query), heads(self.key), heads(self.value)
        scores = torch.matmul(query, key.transpose(2, 3)) * query.size(-1) ** -0.5
        weights = functional.dropout(scores.softmax(dim=-1), DROPOUT, self.training)
        out = torch.matmul(weights, value)
        return self.output(out.transpose(1, 2).flatten(2)), weights


class EncoderLayer(nn.Module):
    """Post-norm, GELU, dropout of the attention weights and behind each sub-layer."""

    def __init__(self):
        super().__init__()
        self.projections = nn.Linear(D_MODEL, 3 * D_MODEL)
        self.output = nn.Linear(D_MODEL, D_MODEL)
        self.norm_attn = nn.LayerNorm(D_MODEL)
        self.linear_in, self.linear_out = nn.Linear(D_MODEL, D_FF), nn.Linear(D_FF, D_MODEL)
        self.norm_ff = nn.LayerNorm(D_MODEL)

    def forward(self, x):
        dropout = DROPOUT if self.training else 0.0
        projected = self.projections(x).unflatten(-1, (3, N_HEADS, -1)).transpose(1, 3)
        out = functional.scaled_dot_product_attention(*projected.unbind(2), dropout_p=dropout)
        attended = self.output(out.transpose(1, 2).flatten(2))
        x = self.norm_attn(x + functional.dropout(attended, dropout))
        hidden = self.linear_out(functional.gelu(self.linear_in(x)))
        return self.norm_ff(x + functional.dropout(hidden, dropout))


class MaskedLanguageModel(nn.Module):
    """An encoder on embedded tokens, and an output layer of its own on the hidden ones."""

    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(VOCAB_SIZE, D_MODEL)
        self.layers = nn.Sequential(*(EncoderLayer() for _ in range(N_LAYERS)))
        self.output = nn.Linear(D_MODEL, VOCAB_SIZE)

    def encode(self, ids):
        return self.layers(self.token(ids))

    def forward(self, ids, positions, labels, _is_random):
        hidden = self.encode(ids).flatten(0, 1)
        return functional.cross_entropy(self.output(hidden[positions]), labels)


class Bert(nn.Module):
    """BERT with both pretraining heads, the output layer of the first being the table of the token embeddings."""

    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(VOCAB_SIZE, D_MODEL), nn.Embedding(SEQ_LENGTH, D_MODEL)
        self.segment, self.norm = nn.Embedding(2, D_MODEL), nn.LayerNorm(D_MODEL)
        self.layers = nn.Sequential(*(EncoderLayer() for _ in range(N_LAYERS)))
        self.head, self.norm_head = nn.Linear(D_MODEL, D_MODEL), nn.LayerNorm(D_MODEL)
        self.bias = nn.Parameter(torch.zeros(VOCAB_SIZE))
        self.pooler, self.next_sentence = nn.Linear(D_MODEL, D_MODEL), nn.Linear(D_MODEL, 2)
        self.register_buffer("segments", (torch.arange(SEQ_LENGTH) >= SEQ_LENGTH // 2).long().expand(BATCH_SIZE, -1))

    def forward(self, ids, positions, labels, is_random):
        x = self.norm(self.token(ids) + self.segment(self.segments) + self.position.weight)
        hidden = self.layers(functional.dropout(x, DROPOUT, self.training))
        masked = self.norm_head(functional.gelu(self.head(hidden.flatten(0, 1)[positions])))
        logits = functional.linear(masked, self.token.weight, self.bias)
        pooled = torch.tanh(self.pooler(hidden[:, 0]))
        loss = functional.cross_entropy(logits, labels)
        return loss + functional.cross_entropy(self.next_sentence(pooled), is_random)


def compiled(function, arguments):
    return torch.compile(function) if arguments.compile else function


def autocast(arguments):
    return torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bf16")


def tokens(*shape):
    return torch.randint(VOCAB_SIZE, shape)


def mha(arguments):
    x = torch.rand(60, 100, 512)
    module = compiled(MultiHeadAttention(512, 8), arguments)

    def forward():
        with torch.no_grad(), autocast(arguments):
            module(x)

    def with_backward():
        with autocast(arguments):
            loss = module(x)[0].sum()
        loss.backward()

    return [("mha/forward", 6000, forward), ("mha/forward+backward", 6000, with_backward)]


def long(arguments):
    length = 8192
    inputs = [torch.rand(1, 1, length, 64, requires_grad=True) for _ in range(3)]
    attention = compiled(functional.scaled_dot_product_attention, arguments)

    def with_backward():
        with autocast(arguments):
            loss = attention(*inputs).sum()
        loss.backward()

    return [("long/forward+backward", length, with_backward)]


def encoder(arguments):
    ids = tokens(BATCH_SIZE, SEQ_LENGTH)
    encode = compiled(MaskedLanguageModel().eval().encode, arguments)

    def forward():
        with torch.no_grad(), autocast(arguments):
            encode(ids)

    return [("encoder/forward", N_TOKENS, forward)]


def training(model, optimizer, batch, n_tokens, arguments):
    """One step: clear the gradients, forward, backward, clip, update."""
    loss_of = compiled(model, arguments)
    optimizer = optimizer(model.parameters(), lr=1e-4, fused=True)

    def step():
        optimizer.zero_grad()
        with autocast(arguments):
            loss = loss_of(*batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return [(arguments.case, n_tokens, step)]


def pretraining(model, arguments):
    batch = tokens(BATCH_SIZE, SEQ_LENGTH), torch.randperm(N_TOKENS)[:N_MASKED], tokens(N_MASKED)
    is_random = torch.arange(BATCH_SIZE) % 2
    return training(model, torch.optim.AdamW, (*batch, is_random), N_TOKENS, arguments)


class Fine(nn.Module):
    """A model of transformers with what it is called with by name; its loss."""

    def __init__(self, model, *names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *batch):
        return self.model(**dict(zip(self.names, batch))).loss


def bert_config(**more):
    from transformers import BertConfig

    sizes = {
        "hidden_size": D_MODEL,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": N_HEADS,
        "intermediate_size": D_FF,
        "max_position_embeddings": SEQ_LENGTH,
    }
    return BertConfig(vocab_size=VOCAB_SIZE, attn_implementation="sdpa", **sizes, **more)


def token_classification(arguments, adapter=False):
    from transformers import BertForTokenClassification

    model = BertForTokenClassification(bert_config(num_labels=9))
    if adapter:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type="TOKEN_CLS"))
    model = Fine(model, "input_ids", "labels")
    labels = torch.randint(9, (BATCH_SIZE, SEQ_LENGTH))
    labels[:, 1::2] = -100
    return training(model.train(), torch.optim.AdamW, (tokens(BATCH_SIZE, SEQ_LENGTH), labels), N_TOKENS, arguments)


def question_answering(arguments):
    from transformers import BertForQuestionAnswering

    names = "input_ids", "token_type_ids", "start_positions", "end_positions"
    segments = (torch.arange(SEQ_LENGTH) >= SEQ_LENGTH // 2).long().expand(BATCH_SIZE, -1)
    places = [torch.randint(SEQ_LENGTH, (BATCH_SIZE,)) for _ in range(2)]
    model = Fine(BertForQuestionAnswering(bert_config()), *names).train()
    return training(model, torch.optim.AdamW, (tokens(BATCH_SIZE, SEQ_LENGTH), segments, *places), N_TOKENS, arguments)


def seq2seq(arguments):
    batch = torch_seq2seq.batch()
    return training(torch_seq2seq.Seq2Seq(), torch.optim.Adam, batch, torch_seq2seq.N_TOKENS, arguments)


def embedding(case, arguments):
    from texts import Embedder, batches, lengths

    embed = compiled(Embedder().eval(), arguments)
    texts = batches(lengths(case))

    def run():
        with torch.inference_mode(), autocast(arguments):
            for ids, mask in texts:
                embed(ids, mask)

    return [(case, sum(lengths(case)), run)]


def beam(arguments):
    import beams

    model, sources = beams.model(), beams.sources()
    options = {"min_new_tokens": beams.TARGET_LENGTH, "max_new_tokens": beams.TARGET_LENGTH, "do_sample": False}
    batches = [beams.padded(batch) for batch in beams.batches(sources)]

    def run():
        with torch.inference_mode(), autocast(arguments):
            for ids, mask in batches:
                model.generate(input_ids=ids, attention_mask=mask, num_beams=beams.N_BEAMS, **options)

    return [("beam", beams.N_TOKENS, run)]


def write_checkpoint(folder):
    from transformers import BertConfig, BertForPreTraining, logging

    logging.disable_progress_bar()
    BertForPreTraining(BertConfig()).save_pretrained(folder)


def load(_arguments):
    from transformers import BertForPreTraining, logging

    logging.disable_progress_bar()
    folder = tempfile.TemporaryDirectory()
    # In a process of its own, whose memory does not count.
    writer = multiprocessing.get_context("spawn").Process(target=write_checkpoint, args=(folder.name,))
    writer.start()
    writer.join()

    def run():
        BertForPreTraining.from_pretrained(folder.name)

    return [("load", BertForPreTraining.from_pretrained(folder.name).num_parameters(), run)]


CASES = {
    "mha": mha,
    "long": long,
    "encoder": encoder,
    "mlm-step": lambda arguments: pretraining(MaskedLanguageModel(), arguments),
    "bert-mini": lambda arguments: pretraining(Bert(), arguments),
    "token-step": token_classification,
    "lora-step": lambda arguments: token_classification(arguments, adapter=True),
    "qa-step": question_answering,
    "seq2seq-step": seq2seq,
    "beam": beam,
    "embed": lambda arguments: embedding("embed", arguments),
    "embed-one": lambda arguments: embedding("embed-one", arguments),
    "load": load,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    # bf16 is autocast.
    arguments = measuring.arguments(parser, CASES, ["f32", "bf16"])
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    for name, n_tokens, run in CASES[arguments.case](arguments):
        measuring.measure(torch, name, n_tokens, run, arguments)


if __name__ == "__main__":
    main()
