"""Writes the parts of clinc150 as CSV, its out-of-scope texts as a class `oos` of the validation and test parts.

    python3 clinc.py data_full.json.gz FOLDER
"""

import csv
import gzip
import json
import pathlib
import sys

source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
parts = json.load(gzip.open(source))
folder.mkdir(parents=True)
for name, rows in {"train": parts["train"], "val": parts["val"] + parts["oos_val"], "test": parts["test"] + parts["oos_test"]}.items():
    with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *rows])
