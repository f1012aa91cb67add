"""transformers' side of `cargo xtask interop`; the other side is `benches/src/bin/interop_case/`. Both read `interop.json`.

    pip install torch numpy transformers safetensors
    python interop.py make FOLDER                             # random models and tokenizers, as transformers saves them
    python interop.py compare FOLDER ... --devices ndarray    # answers of both sides; exit status 1 if they differ

Each FOLDER has `models/` and `tokenizers/`, and its name says who wrote them. `compare` loads each model by the class that
its config.json names, with every warning an error, and compares what it answers with what Burnformer left beside it:

    hidden.LAYER, attn.LAYER, logits, loss      what comes out
    grad.NAME                                   gradients of the loss
    step.NAME                                   weights after three steps of AdamW on the same batch
"""

import argparse
import inspect
import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.numpy import load_file

MATERIAL = json.loads(Path(__file__).with_name("interop.json").read_text(encoding="utf-8"))
CONFIG, SEQ2SEQ, LABELS, BATCH, TEXTS = (MATERIAL[key] for key in ("config", "seq2seq", "labels", "batch", "texts"))

N_STEPS, LEARNING_RATE, BETAS, EPS, WEIGHT_DECAY = 3, 1e-3, (0.9, 0.999), 1e-8, 0.01

# What has no head.
BODIES = ("BertModel", "RobertaModel", "DistilBertModel")

# The largest difference of an element, or that of a tensor relative to its norm.
LIMITS = {"hidden": 1e-4, "attn": 1e-4, "logits": 1e-4, "grad": 1e-4, "step": 1e-3}
# Softmax ignores a bias of the keys: its gradient is rounding, and so is the direction in which it moves.
KEY_BIAS = re.compile(r"(self\.key|k_lin|k_proj)\.bias$")
ROUNDING = 1e-5


# Models


def bert_config(**more):
    return dict(
        vocab_size=CONFIG["vocab_size"], hidden_size=CONFIG["d_model"], num_hidden_layers=CONFIG["n_layers"],
        num_attention_heads=CONFIG["n_heads"], intermediate_size=CONFIG["d_ff"], hidden_act=CONFIG["activation"],
        max_position_embeddings=CONFIG["max_seq_length"], type_vocab_size=CONFIG["n_segments"],
        layer_norm_eps=CONFIG["norm_eps"], pad_token_id=CONFIG["pad_id"], hidden_dropout_prob=CONFIG["dropout"],
        attention_probs_dropout_prob=CONFIG["attention_dropout"], num_labels=len(LABELS),
    ) | more  # fmt: skip


def roberta_config(**more):
    # The rows of its table up to that of the padding token belong to no position.
    max_position_embeddings = CONFIG["pad_id"] + 1 + CONFIG["max_seq_length"]
    return bert_config(max_position_embeddings=max_position_embeddings, type_vocab_size=1, **more)


def distilbert_config(**more):
    return dict(
        vocab_size=CONFIG["vocab_size"], dim=CONFIG["d_model"], n_layers=CONFIG["n_layers"], n_heads=CONFIG["n_heads"],
        hidden_dim=CONFIG["d_ff"], activation=CONFIG["activation"], max_position_embeddings=CONFIG["max_seq_length"],
        pad_token_id=CONFIG["pad_id"], dropout=CONFIG["dropout"], attention_dropout=CONFIG["attention_dropout"],
        seq_classif_dropout=CONFIG["dropout"], num_labels=len(LABELS),
    ) | more  # fmt: skip


def seq2seq_config(**more):
    return dict(
        vocab_size=SEQ2SEQ["source_vocab_size"], d_model=SEQ2SEQ["d_model"],
        encoder_layers=SEQ2SEQ["n_encoder_layers"], decoder_layers=SEQ2SEQ["n_decoder_layers"],
        encoder_attention_heads=SEQ2SEQ["n_heads"], decoder_attention_heads=SEQ2SEQ["n_heads"],
        encoder_ffn_dim=SEQ2SEQ["d_ff"], decoder_ffn_dim=SEQ2SEQ["d_ff"], activation_function=SEQ2SEQ["activation"],
        max_position_embeddings=SEQ2SEQ["max_seq_length"], scale_embedding=SEQ2SEQ["scaled_embeddings"],
        dropout=SEQ2SEQ["dropout"], attention_dropout=SEQ2SEQ["attention_dropout"],
        activation_dropout=SEQ2SEQ["activation_dropout"], pad_token_id=SEQ2SEQ["pad_id"],
        eos_token_id=SEQ2SEQ["eos_id"], forced_eos_token_id=SEQ2SEQ["eos_id"],
        decoder_start_token_id=SEQ2SEQ["decoder_start_id"],
    ) | more  # fmt: skip


def save_whole(model, folder):
    model.save_pretrained(folder)


def save_in_f16_shards(model, folder):
    model.half().save_pretrained(folder, max_shard_size="5KB")
    assert (folder / "model.safetensors.index.json").exists()


def save_as_pickle(model, folder):
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def make_models(folder):
    def make(name, config, more="", save=save_whole):
        cls = getattr(transformers, name)
        model = cls(cls.config_class(**config))
        for path, parameter in model.named_parameters():
            # As ours: biases and norms too, so that none of them can be taken for another.
            center = 1.0 if re.search(r"norm\.weight$", path, re.IGNORECASE) else 0.0
            # Pegasus has its sinusoids among the parameters.
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, center, MATERIAL["init_std"])
        model.config.architectures = [name]
        (folder / (name + more)).mkdir(parents=True)
        save(model, folder / (name + more))

    torch.manual_seed(MATERIAL["seed"])
    for family, config in [("Bert", bert_config), ("Roberta", roberta_config), ("DistilBert", distilbert_config)]:
        make(f"{family}Model", config())
        make(f"{family}ForMaskedLM", config())
        make(f"{family}ForMaskedLM", config(tie_word_embeddings=False), "-untied")
        make(f"{family}ForSequenceClassification", config())
    make("BertForPreTraining", bert_config())
    make("BertForPreTraining", bert_config(), "-f16-shards", save_in_f16_shards)
    make("RobertaForSequenceClassification", roberta_config(), "-bin", save_as_pickle)
    separate = {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": SEQ2SEQ["target_vocab_size"]}
    make("MarianMTModel", seq2seq_config())
    make("MarianMTModel", seq2seq_config(**separate), "-separate")
    make("MarianMTModel", seq2seq_config(**separate, tie_word_embeddings=False), "-untied")
    make("PegasusForConditionalGeneration", seq2seq_config())


def load_model(folder):
    """The model and what is wrong with how it was loaded."""
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    cls = getattr(transformers, name)
    options = {}
    if "add_pooling_layer" in inspect.signature(cls).parameters:
        # Ours has one in the body alone where the model had one.
        options["add_pooling_layer"] = any("pooler." in key for key in load_file(folder / "model.safetensors"))
    with Warnings() as warnings:
        model, info = cls.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True, **options
        )
    return model, warnings.lines + [f"{kind}: {sorted(map(str, found))}" for kind, found in info.items() if found]


class Warnings(logging.Handler):
    """Collects what transformers warns of, instead of showing it."""

    def __enter__(self):
        self.lines, self.logger = [], logging.getLogger("transformers")
        self.shown, self.logger.handlers = self.logger.handlers, [self]
        return self

    def __exit__(self, *_):
        self.logger.handlers = self.shown

    def emit(self, record):
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())


def forward(model):
    """What comes out of a model, as tensors by name; `loss` among them."""
    ids, masked = torch.tensor(BATCH["ids"]), torch.tensor(BATCH["masked"])
    targets, classes = torch.tensor(BATCH["targets"]), torch.tensor(BATCH["classes"])
    inputs = {"input_ids": ids, "output_attentions": True, "output_hidden_states": True}
    inputs["attention_mask"] = (torch.arange(ids.shape[1]) < torch.tensor(BATCH["lengths"])[:, None]).long()
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = torch.tensor(BATCH["segments"])
    labels = torch.full((ids.numel(),), -100)
    labels[masked] = targets
    labels = labels.reshape(ids.shape)

    def at_masked(logits):
        return logits.reshape(-1, logits.shape[-1])[masked]

    name = type(model).__name__
    if model.config.is_encoder_decoder:
        decoder_ids, next_ids = torch.tensor(BATCH["decoder_ids"]), torch.tensor(BATCH["next_ids"])
        out = model(**inputs, decoder_input_ids=decoder_ids, labels=next_ids)
        own = {"logits": out.logits, "hidden.decoder": out.decoder_hidden_states[-1]}
        own |= {"hidden.encoder": out.encoder_last_hidden_state} | by_layer("attn.encoder", out.encoder_attentions)
        own |= by_layer("attn.decoder", out.decoder_attentions) | by_layer("attn.cross", out.cross_attentions)
        return own | {"loss": out.loss.reshape(1)}
    if name.endswith("ForPreTraining"):
        out = model(**inputs, labels=labels, next_sentence_label=torch.tensor(BATCH["next_sentence"]))
        own = {"logits.mlm": at_masked(out.prediction_logits), "logits.next_sentence": out.seq_relationship_logits}
    elif name.endswith("ForMaskedLM"):
        out = model(**inputs, labels=labels)
        own = {"logits": at_masked(out.logits)}
    elif name.endswith("ForSequenceClassification"):
        out = model(**inputs, labels=classes)
        own = {"logits": out.logits}
    else:
        out = model(**inputs)
        # As ours: the first features of the first token are trained to be a classifier.
        out.loss = F.cross_entropy(out.last_hidden_state[:, 0], classes)
        own = {}
    own |= {"loss": out.loss.reshape(1), "hidden": out.hidden_states[-1]}
    return own | by_layer("hidden", out.hidden_states) | by_layer("attn", out.attentions)


def by_layer(name, tensors):
    return {f"{name}.{layer}": tensor for layer, tensor in enumerate(tensors)}


def answer(model):
    """Everything that is compared, and the weights before the steps."""
    # The names of a body alone have no prefix in transformers.
    prefix = model.base_model_prefix + "." if type(model).__name__ in BODIES else ""
    parameters = {prefix + name: parameter for name, parameter in model.named_parameters()}
    before = {name: to_numpy(parameter) for name, parameter in parameters.items()}
    model.train()
    outputs = forward(model)
    outputs["loss"].backward()
    answers = {name: to_numpy(output) for name, output in outputs.items()}
    # Where the output layer is not tied, the first of its two biases is not used.
    trained = {name: parameter for name, parameter in parameters.items() if parameter.grad is not None}
    answers |= {f"grad.{name}": to_numpy(parameter.grad) for name, parameter in trained.items()}
    groups = [
        {"params": [it for it in trained.values() if it.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [it for it in trained.values() if it.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, eps=EPS)
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        forward(model)["loss"].backward()
        optimizer.step()
    answers |= {f"step.{name}": to_numpy(parameter) for name, parameter in trained.items()}
    return answers, before


def to_numpy(tensor):
    # A copy, since the steps update parameters where they lie; differences are taken in double precision.
    return tensor.detach().double().numpy().copy()


def compare_models(folder, devices, table):
    for model_folder in sorted((folder / "models").iterdir()):
        model, troubles = load_model(model_folder)
        expected, before = answer(model)
        for device in devices:
            found = load_file(model_folder / f"burnformer-{device}.safetensors")
            differences, worst, failures = compare(found, expected, before)
            table.row(model_folder.name, folder.name, device, differences, worst, troubles + failures)


def compare(found, expected, before):
    """The largest difference of each kind, where it is, and what is beyond a limit or not comparable."""
    largest, worst, failures = dict.fromkeys(LIMITS, 0.0), {}, []
    for name in sorted(found.keys() ^ expected.keys()):
        failures.append(f"only {'Burnformer' if name in found else 'transformers'} has `{name}`")
    for name in sorted(found.keys() & expected.keys()):
        kind, _, parameter = name.partition(".")
        kind = "logits" if kind == "loss" else kind
        ours, theirs = found[name].astype(np.float64), expected[name]
        if ours.shape != theirs.shape:
            failures.append(f"`{name}` has shape {ours.shape} here and {theirs.shape} there")
            continue
        if kind in ("grad", "step") and KEY_BIAS.search(parameter):
            norms = [np.linalg.norm(it) for it in (ours, theirs)]
            if kind == "grad" and not max(norms) <= ROUNDING:
                failures.append(f"`{name}` should vanish, but has norms {norms[0]:.1e} and {norms[1]:.1e}")
            continue
        if kind == "step":
            ours, theirs = ours - before[parameter], theirs - before[parameter]
        if kind in ("grad", "step"):
            difference = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        else:
            difference = np.abs(ours - theirs).max()
        if not difference <= LIMITS[kind]:
            failures.append(f"`{name}` differs by {difference:.1e}, more than {LIMITS[kind]:.0e}")
        # A NaN is the largest there is.
        if not difference <= largest[kind]:
            largest[kind], worst[kind] = difference, parameter
    return largest, worst, failures


# Tokenizers


def known_texts():
    """What tokenizers learn from: every second text, so that the others have characters and words that are unknown."""
    return TEXTS[::2]


def make_tokenizers(folder):
    for name, blank in [
        ("bert", transformers.BertTokenizer()),
        ("bert-cased", transformers.BertTokenizer(do_lower_case=False)),
        ("roberta", transformers.RobertaTokenizer()),
    ]:
        tokenizer = blank.train_new_from_iterator(known_texts(), MATERIAL["vocab_size"], show_progress=False)
        tokenizer.save_pretrained(folder / name)


def compare_tokenizers(folder, table):
    for tokenizer_folder in sorted((folder / "tokenizers").iterdir()):
        with Warnings() as warnings:
            tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
        answers = json.loads((tokenizer_folder / "burnformer.json").read_text())
        questions = list(ask(tokenizer))
        assert len(answers) == len(questions)
        failures = list(warnings.lines)
        for (ids, type_ids), (question, expected) in zip(answers, questions):
            # RoBERTa's tokenizers have no types.
            if ids != expected["input_ids"] or type_ids != expected.get("token_type_ids", type_ids):
                failures.append(f"{question}: {ids} {type_ids}, expected {expected}")
        table.tokenizer(tokenizer_folder.name, folder.name, len(questions), failures)


def ask(tokenizer):
    """Every text, and every text with the next one: whole, and cut."""
    for text, following in zip(TEXTS, TEXTS[1:] + TEXTS[:1]):
        for pair, max_length in zip((None, following), MATERIAL["max_lengths"]):
            for cut in ({}, {"truncation": True, "max_length": max_length}):
                # In lists, since on its own an empty pair counts as none.
                batch = tokenizer([text], None if pair is None else [pair], return_attention_mask=False, **cut)
                yield (text, pair, cut), {key: rows[0] for key, rows in batch.items()}


# Reports


N_SHOWN = 5  # failures of one model or tokenizer


class Table:
    WIDTHS = "{:<38} {:<12} {:<8} {:>8} {:>8} {:>8} {:>8} {:>8}  {}"

    def __init__(self):
        self.failures = []

    def head(self):
        print(self.WIDTHS.format("model", "written by", "device", "hidden", "attn", "logits", "grad", "step", "worst"))
        print(self.WIDTHS.format("", "", "limit", *(f"{limit:.0e}" for limit in LIMITS.values()), ""))

    def row(self, name, written_by, device, differences, worst, failures):
        numbers = (f"{difference:.1e}" for difference in differences.values())
        places = ", ".join(f"{kind} {worst[kind]}" for kind in ("grad", "step") if kind in worst)
        print(self.WIDTHS.format(name, written_by, device, *numbers, places + self.mark(failures)))
        self.note(f"{name} by {written_by} on {device}", failures)

    def tokenizer(self, name, written_by, n_questions, failures):
        print(f"tokenizer {name:<28} {written_by:<12} {n_questions} texts{self.mark(failures)}")
        self.note(f"tokenizer {name} by {written_by}", failures)

    def note(self, what, failures):
        self.failures += [f"{what}: {failure}" for failure in failures[:N_SHOWN]]
        if len(failures) > N_SHOWN:
            self.failures.append(f"{what}: and {len(failures) - N_SHOWN} more")

    @staticmethod
    def mark(failures):
        return "  FAILED" if failures else ""


def make(folder):
    make_models(folder / "models")
    make_tokenizers(folder / "tokenizers")


def compare_folders(folders, devices):
    print(f"transformers {transformers.__version__}, torch {torch.__version__}\n")
    table = Table()
    table.head()
    for folder in folders:
        compare_models(folder, devices, table)
    print()
    for folder in folders:
        compare_tokenizers(folder, table)
    print()
    for failure in table.failures:
        print(failure)
    print("FAILED" if table.failures else "Both sides agree.")
    return 1 if table.failures else 0


def main():
    parser = argparse.ArgumentParser(description="transformers' side of `cargo xtask interop`")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("folder", type=Path)
    comparison = commands.add_parser("compare")
    comparison.add_argument("folders", type=Path, nargs="+")
    comparison.add_argument("--devices", required=True, type=lambda text: text.split(","))
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_warning()
    if args.command == "make":
        return make(args.folder)
    return compare_folders(args.folders, args.devices)


if __name__ == "__main__":
    sys.exit(main())
