"""transformers' side of the fine-tuning runs of `cargo xtask interop`.

    python finetuning.py FOLDER --devices ndarray,flex

FOLDER has a folder for each task, written by `interop_case finetune`: the data, the model before its first step (`before`), the
settings, the batches of every step, and the losses of each device. Here the data are prepared as the examples of transformers
do (run_glue.py, run_ner.py, run_qa.py), and every row of the batches must be one of theirs; then transformers' Trainer trains
the same model on the same batches with the same settings. Fails if a loss differs by more than 1e-3.

Three things are not as transformers has them. Its first update has the rate 0; here update `t` of `n` has the rate that comes
after `t` of `n + 1`, so that no update has the rate 0. An answer cannot begin or end in padding, so that the loss of a row does
not depend on how long the others of its batch are. And an answer that is the last token of its window begins there, where
run_qa.py takes the [SEP] behind.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import transformers
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import AutoTokenizer, Trainer, TrainingArguments

LIMIT = 1e-3
IGNORED = -100
MAX_LENGTH, STRIDE = 32, 8


def class_rows(folder, tokenizer, config):
    """Tokens and class of every text, as run_glue.py prepares them."""
    _, *lines = (folder / "rows.tsv").read_text().splitlines()
    for line in lines:
        text, name = line.split("\t")
        encoded = tokenizer(text, truncation=True, max_length=MAX_LENGTH)
        yield encoded["input_ids"], config.label2id[name]


def tag_rows(folder, tokenizer, config):
    """Tokens and labels of every sentence, as run_ner.py prepares them: the first token of a word has the label."""
    for sentence in (folder / "rows.conll").read_text().strip().split("\n\n"):
        words, tags = zip(*(line.split() for line in sentence.splitlines()))
        encoded = tokenizer(list(words), is_split_into_words=True, truncation=True, max_length=MAX_LENGTH)
        labels, last = [], None
        for word in encoded.word_ids():
            is_first = word is not None and word != last
            labels.append(config.label2id[tags[word]] if is_first else IGNORED)
            last = word
        yield encoded["input_ids"], labels


def answer_rows(folder, tokenizer, _config):
    """Tokens, first and last token of the answer of every window, as run_qa.py prepares them."""
    data = json.loads((folder / "rows.json").read_text())["data"]
    for paragraph in (paragraph for article in data for paragraph in article["paragraphs"]):
        for question in paragraph["qas"]:
            encoded = tokenizer(
                question["question"].lstrip(),
                paragraph["context"],
                truncation="only_second",
                max_length=MAX_LENGTH,
                stride=STRIDE,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
            for window, ids in enumerate(encoded["input_ids"]):
                answers = question["answers"]
                yield ids, answer_places(encoded, window, answers[0] if answers else None)


def answer_places(encoded, window, answer):
    """The tokens of an answer in a window; those of [CLS] if it does not hold it."""
    if answer is None:
        return [0, 0]
    begin = answer["answer_start"]
    end = begin + len(answer["text"])
    offsets, segments = encoded["offset_mapping"][window], encoded.sequence_ids(window)
    first, last = segments.index(1), len(segments) - 1 - segments[::-1].index(1)
    behind = last + 1
    if offsets[first][0] > begin or offsets[last][1] < end:
        return [0, 0]
    while first < behind and offsets[first][0] <= begin:
        first += 1
    while offsets[last][1] >= end:
        last -= 1
    return [first - 1, last + 1]


# How rows are prepared, and the class of the model.
TASKS = {
    "text-classification": (class_rows, transformers.AutoModelForSequenceClassification),
    "token-classification": (tag_rows, transformers.AutoModelForTokenClassification),
    "question-answering": (answer_rows, transformers.AutoModelForQuestionAnswering),
}


def batch(step, tokenizer):
    """A batch of ours as arguments of a model."""
    length = max(map(len, step["rows"]))

    def padded(rows, filler):
        return torch.tensor([row + [filler] * (length - len(row)) for row in rows])

    separator = tokenizer.sep_token_id

    def segments(row):
        first = row.index(separator) + 1
        return [0] * first + [1] * (len(row) - first)

    arguments = {
        "input_ids": padded(step["rows"], tokenizer.pad_token_id),
        "attention_mask": padded([[1] * len(row) for row in step["rows"]], 0),
        "token_type_ids": padded([segments(row) for row in step["rows"]], 0),
    }
    if "answers" in step:
        starts, ends = zip(*step["answers"])
        return arguments | {"start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}
    labels = step["labels"]
    if isinstance(labels[0], list):
        return arguments | {"labels": padded(labels, IGNORED)}
    return arguments | {"labels": torch.tensor(labels)}


class InOrder(Trainer):
    """A trainer that takes batches in their order and keeps the losses."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.losses = []

    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)

    def create_scheduler(self, num_training_steps, optimizer=None):
        super().create_scheduler(num_training_steps + 1, optimizer)
        rate = self.lr_scheduler.lr_lambdas[0]
        optimizer = self.optimizer
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.lr_scheduler = LambdaLR(optimizer, lambda update: rate(update + 1))
        return self.lr_scheduler

    def compute_loss(self, model, inputs, *args, **options):
        if "start_positions" in inputs:
            loss = loss_of_answers(model, **inputs)
        else:
            loss = super().compute_loss(model, inputs, *args, **options)
        self.losses.append(loss.item())
        return loss


def loss_of_answers(model, start_positions, end_positions, **inputs):
    """The loss of transformers, with padding left out of the softmax."""
    outputs, is_padding = model(**inputs), inputs["attention_mask"] == 0

    def loss(logits, positions):
        return cross_entropy(logits.masked_fill(is_padding, -torch.inf), positions)

    return (loss(outputs.start_logits, start_positions) + loss(outputs.end_logits, end_positions)) / 2


def train(folder, model_class):
    settings = json.loads((folder / "settings.json").read_text())
    steps = json.loads((folder / "steps.json").read_text())
    model = model_class.from_pretrained(folder / "before", attn_implementation="eager", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder / "before")
    beta_1, beta_2 = settings["betas"]
    arguments = TrainingArguments(
        output_dir=str(folder / "transformers"),
        max_steps=settings["steps"],
        per_device_train_batch_size=1,
        learning_rate=settings["learning_rate"],
        adam_beta1=beta_1,
        adam_beta2=beta_2,
        adam_epsilon=settings["eps"],
        weight_decay=settings["weight_decay"],
        warmup_steps=settings["warmup_steps"],
        lr_scheduler_type="linear",
        max_grad_norm=settings["clip_norm"],
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    batches = [batch(step, tokenizer) for step in steps]
    # Each row of the data set is a whole batch.
    trainer = InOrder(model, arguments, train_dataset=batches, data_collator=lambda rows: rows[0])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return trainer.losses


def unknown_rows(folder, rows_of):
    """How many rows of our batches are none that transformers makes of the data."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "before")
    config = transformers.AutoConfig.from_pretrained(folder / "before")
    known = {json.dumps(row) for row in rows_of(folder, tokenizer, config)}
    steps = json.loads((folder / "steps.json").read_text())
    targets = "answers" if "answers" in steps[0] else "labels"
    ours = [json.dumps(row) for step in steps for row in zip(step["rows"], step[targets])]
    return sum(row not in known for row in ours), len(ours), len(known)


def compare(folder, devices):
    rows_of, model_class = TASKS[folder.name]
    n_unknown, n_rows, n_known = unknown_rows(folder, rows_of)
    theirs = train(folder, model_class)
    failed = n_unknown > 0
    for device in devices:
        ours = json.loads((folder / f"burnformer-{device}.json").read_text())
        same_length = len(ours) == len(theirs)
        difference = max(abs(a - b) for a, b in zip(ours, theirs)) if same_length else float("nan")
        mark = "" if difference <= LIMIT and not n_unknown else "  FAILED"
        failed |= bool(mark)
        print(
            f"{folder.name:<22} {device:<8} {len(ours)} steps, loss {ours[0]:.4f} to {ours[-1]:.4f}, "
            f"largest difference {difference:.1e} (limit {LIMIT:.0e}); {n_rows} rows, {n_known} different ones, "
            f"{n_unknown} unknown to transformers{mark}"
        )
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--devices", required=True, type=lambda text: text.split(","))
    arguments = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(f"\ntransformers {transformers.__version__}, torch {torch.__version__}\n")
    folders = sorted(folder for folder in arguments.folder.iterdir() if folder.is_dir())
    failed = [compare(folder, arguments.devices) for folder in folders]
    print("\n" + ("FAILED" if any(failed) else "Both sides train alike."))
    return 1 if any(failed) or not failed else 0


if __name__ == "__main__":
    sys.exit(main())
