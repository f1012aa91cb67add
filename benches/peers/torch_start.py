"""The case `start` of `cargo xtask bench --peers` in transformers: a small classifier's answer to one text, import included.

    pip install torch numpy transformers
    python torch_start.py MODEL TEXT
"""

import argparse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", metavar="MODEL", help="a folder")
parser.add_argument("text", metavar="TEXT")
arguments = parser.parse_args()

from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline  # noqa: E402, part of the start

model = AutoModelForSequenceClassification.from_pretrained(arguments.model)
tokenizer = AutoTokenizer.from_pretrained(arguments.model)
print(pipeline("text-classification", model=model, tokenizer=tokenizer)(arguments.text))
