#!/usr/bin/env bash
# The runs of ../finetuning.md: each task from a pretrained model and from random weights, with seeds 1, 2 and 3.
#
#   run.sh BURNFORMER DATA ENGLISH CHINESE OUT [NAME...]
#
# The program, the folder with the data sets, two pretrained model folders, where the runs and a JSON report of each go, and
# which of the data sets (all by default). A report that is there already is kept.
set -euo pipefail
burnformer=$1 data=$2 english=$3 chinese=$4 out=$5
shift 5
only=" $* "
mkdir -p "$out"
[ -e "$out/clinc" ] || python3 "$(dirname "$0")/clinc.py" "$data/clinc150/data_full.json.gz" "$out/clinc"

# both NAME MODEL ARGUMENTS...: from the pretrained model, then from random weights.
both() {
  local name=$1 model=$2 start
  shift 2
  [[ $only == "  " || $only == *" $name "* ]] || return 0
  for start in pretrained scratch; do
    local report=$out/$name-$start.json more=(--learning-rate "${rate:-1e-3}" --baseline)
    [ $start = scratch ] && more=(--learning-rate 1e-3 --from-scratch)
    [[ " $* " == *" --task "* ]] && more=("${more[@]/--baseline/}")
    [ -e "$report" ] && continue
    echo "$name, $start" >&2
    # shellcheck disable=SC2068
    "$burnformer" finetune --model "$model" "$@" ${more[@]} --seed 1 --seeds 3 --quiet --device flex \
      --out "$out/$name-$start" --format json > "$report.part"
    mv "$report.part" "$report"
  done
}

# Entities. Some words of ner_btc are empty, and some tags of weibo_ner break their scheme: such sentences are left out.
ner=(--task token-classification --input-format conll)
rate=3e-3 both wnut17 "$english" "${ner[@]}" --epochs 5 --max-seq-length 64 --train "$data/wnut17/wnut17train.conll.gz" \
  --validation "$data/wnut17/emerging.dev.conll.gz" --test "$data/wnut17/emerging.test.annotated.gz"
rate=3e-3 both ner_btc "$english" "${ner[@]}" --epochs 3 --max-seq-length 64 --on-bad-row skip --train "$data"/ner_btc/{a,b,e,f,g}.conll.gz --test "$data/ner_btc/h.conll.gz"
weibo=$data/weibo_ner/weiboNER_2nd_conll
rate=3e-3 both weibo_ner "$chinese" "${ner[@]}" --epochs 8 --max-seq-length 128 --on-bad-row skip --train "$weibo.train.gz" \
  --validation "$weibo.dev.gz" --test "$weibo.test.gz"

# Pairs of sentences. Single quotation marks in them are no quoting.
mrpc=$data/glue/MRPC/msr_paraphrase
both mrpc "$english" --input-format tsv --text-column '#1 String' --pair-column '#2 String' --label-column Quality \
  --epochs 3 --train "${mrpc}_train.txt.gz" --test "${mrpc}_test.txt.gz"
both rte "$english" --text-column sentence1 --pair-column sentence2 --label-column label --epochs 3 \
  --train "$data/glue/RTE/train.tsv.gz" --test "$data/glue/RTE/dev.tsv.gz"

# Similarity of sentences, from 0 to 5.
both stsb "$english" --task regression --text-column sentence1 --pair-column sentence2 --label-column score --epochs 3 \
  --train "$data/glue/STS-B/train.tsv.gz" --test "$data/glue/STS-B/dev.tsv.gz"

both stsb_embedding "$english" --task sentence-embedding --text-column sentence1 --pair-column sentence2 \
  --label-column score --max-seq-length 64 --epochs 3 --train "$data/glue/STS-B/train.tsv.gz" \
  --test "$data/glue/STS-B/dev.tsv.gz"

# Question answering.
qa=(--task question-answering --epochs 2 --max-seq-length 256 --max-train-samples 2000)
both policyqa "$english" "${qa[@]}" --train "$data/policyqa/dev.json.gz" --test "$data/policyqa/test.json.gz"
both drcd "$chinese" "${qa[@]}" --train "$data/drcd/DRCD_dev.json.gz" --test "$data/drcd/DRCD_test.json.gz"
both xquad "$english" "${qa[@]}" --train "$data/policyqa/dev.json.gz" --test "$data/xquad/xquad.en.json.gz"

# Sentiment.
both sst2 "$english" --text-column sentence --label-column label --max-seq-length 64 --epochs 3 --max-train-samples 8000 \
  --train "$data/glue/SST-2/train.tsv.gz" --test "$data/glue/SST-2/dev.tsv.gz"
both chnsenticorp "$chinese" --text-column text_a --label-column label --epochs 2 --max-train-samples 4000 \
  --train "$data/chnsenticorp/train.tsv.gz" --validation "$data/chnsenticorp/dev.tsv.gz" \
  --test "$data/chnsenticorp/test.tsv.gz"

# Intents with texts of none: their class is named, and told apart by probability. clinc150 as CSV: clinc.py.
both clinc150 "$english" --label-column label --max-seq-length 64 --epochs 3 --out-of-scope oos \
  --train "$out/clinc/train.csv" --validation "$out/clinc/val.csv" --test "$out/clinc/test.csv"

# Intents: five, ten and all examples of each class.
banking=(--text-column text --label-column category --max-seq-length 64 --train "$data/banking77/train.csv.gz"
  --test "$data/banking77/test.csv.gz")
both banking77_5 "$english" "${banking[@]}" --epochs 60 --max-per-class 5
both banking77_10 "$english" "${banking[@]}" --epochs 40 --max-per-class 10
both banking77 "$english" "${banking[@]}" --epochs 10
