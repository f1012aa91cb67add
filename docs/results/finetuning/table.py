"""Prints the table of finetuning.md from the reports that run.sh wrote.

    python3 table.py OUT
"""

import json
import pathlib
import sys

ROWS = [
    ("wnut17", "entities, English", "f1", "entity F1"),
    ("ner_btc", "entities, English", "f1", "entity F1"),
    ("weibo_ner", "entities, Chinese", "f1", "entity F1"),
    ("mrpc", "paraphrases", "macro_f1", "macro F1"),
    ("rte", "entailment", "accuracy", "accuracy"),
    ("stsb", "similarity", "spearman", "Spearman"),
    ("stsb_embedding", "similarity by embeddings", "spearman", "Spearman"),
    ("policyqa", "questions, English", "f1", "F1"),
    ("xquad", "questions, English, trained on policyqa", "f1", "F1"),
    ("drcd", "questions, Chinese", "f1_by_characters", "F1 by characters"),
    ("sst2", "sentiment, English", "accuracy", "accuracy"),
    ("chnsenticorp", "sentiment, Chinese", "accuracy", "accuracy"),
    ("banking77_5", "intents, 5 a class", "accuracy", "accuracy"),
    ("banking77_10", "intents, 10 a class", "accuracy", "accuracy"),
    ("banking77", "intents, all", "accuracy", "accuracy"),
    ("clinc150", "intents", "accuracy", "accuracy"),
    ("clinc150", "intents, out of scope", "out_of_scope.auroc", "AUROC"),
]


def cell(report, name):
    scores = {score["name"]: score for score in report["scores"]}
    score = scores.get(f"test.{name}")
    return f"{score['mean']:.3f} ± {score['deviation']:.3f}" if score else "–"


def baseline(report, name, metric):
    rows = [row for row in report["runs"][0]["report"].get("baselines", []) if row["name"] == name]
    return f"{rows[0][metric]:.3f}" if rows and metric in rows[0] else "–"


def main():
    out = pathlib.Path(sys.argv[1])
    print("| data | task | training rows | measure | pretrained | fresh weights | bag of words | majority |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, task, metric, title in ROWS:
        reports = {}
        for start in ("pretrained", "scratch"):
            path = out / f"{name}-{start}.json"
            if path.exists():
                reports[start] = json.loads(path.read_text())
        if "pretrained" not in reports:
            continue
        first = reports["pretrained"]
        rows = first["runs"][0]["report"]["training_texts"]
        others = [baseline(first, kind, metric) for kind in ("bag of words", "majority class")]
        scratch = cell(reports["scratch"], metric) if "scratch" in reports else "–"
        print("|", " | ".join([name, task, f"{rows:,}", title, cell(first, metric), scratch, *others]), "|")


main()
