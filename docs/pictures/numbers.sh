#!/bin/sh
# Trains a translator of number words, German to English, and draws the attention picture of README.md.
# Usage: numbers.sh FOLDER, with `burnformer` on the PATH. Takes a minute on two cores.
set -eu
mkdir "$1" && cd "$1"

# 8,500 of the numbers below 100,000 in both languages, German words written apart: `drei und zwanzig`, `twenty three`.
pairs() {
    awk -v first="$1" -v last="$2" '
    function de(n,  rest) {
        if (n >= 1000) { rest = n % 1000; return de_factor(int(n / 1000)) " tausend" (rest ? " " de(rest) : "") }
        if (n >= 100) { rest = n % 100; return de_factor(int(n / 100)) " hundert" (rest ? " " de(rest) : "") }
        if (n < 20) return DE[n]
        return (n % 10 ? de_factor(n % 10) " und " : "") DE_TENS[int(n / 10)]
    }
    function de_factor(n) { return n == 1 ? "ein" : de(n) }
    function en(n,  rest) {
        if (n >= 1000) { rest = n % 1000; return en(int(n / 1000)) " thousand" (rest ? " " en(rest) : "") }
        if (n >= 100) { rest = n % 100; return EN[int(n / 100)] " hundred" (rest ? " " en(rest) : "") }
        if (n < 20) return EN[n]
        return EN_TENS[int(n / 10)] (n % 10 ? " " EN[n % 10] : "")
    }
    BEGIN {
        split("eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn " \
              "siebzehn achtzehn neunzehn", DE, " ")
        split("- zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig", DE_TENS, " ")
        split("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen " \
              "seventeen eighteen nineteen", EN, " ")
        split("- twenty thirty forty fifty sixty seventy eighty ninety", EN_TENS, " ")
        print "de\ten"
        for (i = first; i <= last; i++) { n = i * 48271 % 99991; print de(n) "\t" en(n) }
    }'
}
pairs 1 8000 > train.tsv
pairs 8001 8500 > test.tsv

burnformer tokenizer train --input train.tsv --text-column de --kind word-level --set strip_accents=false --out de
burnformer tokenizer train --input train.tsv --text-column en --kind word-level --out en
burnformer data build --input train.tsv --text-column de --pair-column en --tokenizer de --pair-tokenizer en --out pairs
burnformer train-seq2seq --corpus pairs --preset transformer-tiny --epochs 12 --set train.micro_batch_tokens=1024 \
    --set model.n_decoder_layers=1 --set label_smoothing=0 --out runs/numbers
burnformer evaluate runs/numbers --input test.tsv --text-column de --pair-column en
burnformer translate runs/numbers --attention maps 'fünf und achtzig tausend sechs hundert sieben und zwanzig'
