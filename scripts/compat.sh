#!/usr/bin/env bash
# What of nmt_plugin and shared works with the original fairseq 0.12.2 (Python 3.10): in an environment of its own, runs
# every command that users of that release run, and prints a table. Exit status 0: all that should work works.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: bash scripts/compat.sh [TORCH]

  TORCH    version of torch, 2.0.1 to 2.8.0 (default 2.8.0); the first call downloads about 3 GB

PYTHON=/path/to/python3.10 chooses the interpreter. Environments and logs are kept in .venv-compat/.
END
}

fail() { printf 'error: %s\n' "$1" >&2; exit 2; }
say() { printf '[compat %4ss] %s\n' "$SECONDS" "$1" >&2; }

case ${1-} in -h | --help) usage; exit 0 ;; esac
[ $# -le 1 ] || fail 'one version of torch at a time, e.g. bash scripts/compat.sh 2.4.1'
TORCH=${1-2.8.0}
case $TORCH in # torchaudio comes with each torch; fairseq needs one
  2.0.1) AUDIO=2.0.2 ;;
  2.[1-8].[0-9]) AUDIO=$TORCH ;;
  *) fail "torch $TORCH is not one that fairseq 0.12.2 is tried with here; choose 2.0.1 to 2.8.0" ;;
esac
readonly ROOT=$PWD PAGES=data/libreoffice-help HOME_OF_THIS=$PWD/.venv-compat/torch-$TORCH
readonly WORK=$HOME_OF_THIS/work LOGS=$HOME_OF_THIS/log
[ -d "$PAGES" ] || fail "$PAGES is not here; scripts/setup.sh fetches it"

find_python() {
  local candidate
  for candidate in ${PYTHON-python3.10 python3}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "${PYTHON:+$PYTHON is not it: }fairseq 0.12.2 needs Python 3.10 here; name one: PYTHON=/path/to/python3.10 bash scripts/compat.sh"
}

install_environment() {
  local stamp=$HOME_OF_THIS/.installed key python pip
  key=$({ echo "$TORCH $AUDIO"; pwd; cat scripts/compat/constraints.txt; } | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null || true)" = "$key" ]; then return; fi
  python=$(find_python)
  command -v g++ >/dev/null || fail 'g++ is needed to build fairseq; install it, e.g. apt-get install g++'
  say "environment with torch $TORCH and fairseq 0.12.2 (about 3 GB)"
  rm -rf "$HOME_OF_THIS"
  "$python" -m venv "$HOME_OF_THIS"
  pip=("$HOME_OF_THIS/bin/python" -m pip --disable-pip-version-check install -q)
  "${pip[@]}" 'pip<24.1' # later ones refuse the metadata of omegaconf 2.0
  # With build isolation, unlike fairseq-fixed: where torch is seen, the build wants sources that the archive lacks.
  "${pip[@]}" -c scripts/compat/constraints.txt "torch==$TORCH" "torchaudio==$AUDIO" numpy fairseq==0.12.2 \
    sacrebleu sentencepiece lxml matplotlib pytest hypothesis
  echo "$key" >"$stamp"
}

# ---- the table -------------------------------------------------------------------------------------------------------
ROWS=()
unexpected=0

attempt() { # LOG COMMAND...: sets `status`; not to be called in a condition, where bash would ignore failing lines
  local log=$1
  shift
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
}

# check WHAT COMMAND...: it should work.   check_not WHAT WHY COMMAND...: known not to work, for the reason given.
check() {
  local what=$1 log
  shift
  log=$LOGS/${#ROWS[@]}.log
  attempt "$log" "$@"
  if [ "$status" = 0 ]; then
    ROWS+=("$what|works|$(summary "$log")")
  else
    ROWS+=("$what|FAILED|$(reason "$log") ($log)")
    unexpected=$((unexpected + 1))
  fi
  say "$(sed 's/|$//; s/|/: /g' <<<"${ROWS[-1]}")"
}

check_not() {
  local what=$1 why=$2 log
  shift 2
  log=$LOGS/${#ROWS[@]}.log
  attempt "$log" "$@"
  if [ "$status" = 0 ]; then
    ROWS+=("$what|works|although this was to be expected: $why")
  else
    ROWS+=("$what|does not|$why: $(reason "$log")")
  fi
  say "$(sed 's/|$//; s/|/: /g' <<<"${ROWS[-1]}")"
}

needs() { # VERSION: the running torch is at least that
  [ "$(printf '%s\n' "$1" "$TORCH" | sort -V | head -n 1)" = "$1" ]
}

check_teacher() { # for what reads a checkpoint itself
  if needs 2.4; then check "$@"; else check_not "$1" 'before torch 2.4 a checkpoint cannot be read safely' "${@:2}"; fi
}

summary() { sed -nE 's/^=* ?([0-9]+ passed.*) in .*/\1/p' "$1" | tail -n 1; }
reason() { # the last line that tells of an error, else the last line
  { grep -E '(Error|Exception|error|FAILED|not in)\b' "$1" || cat "$1"; } | tail -n 1 | sed -E 's/^(E +)?[[:space:]]*//' | tr '|' '/' | cut -c1-150
}

print_table() {
  local row
  printf '\nPython %s, torch %s, fairseq %s, numpy %s, omegaconf %s, hydra-core %s\n\n' "$(version python)" "$(version torch)" \
    "$(version fairseq)" "$(version numpy)" "$(version omegaconf)" "$(version hydra-core)"
  printf '| command | result | why |\n|---|---|---|\n'
  for row in "${ROWS[@]}"; do
    IFS='|' read -r what result why <<<"$row"
    printf '| %s | %s | %s |\n' "$what" "$result" "$why"
  done
}

version() {
  if [ "$1" = python ]; then python -c 'import platform; print(platform.python_version())'; return; fi
  python -c 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))' "$1"
}

# ---- the commands ----------------------------------------------------------------------------------------------------
readonly DATA=$WORK/tiny.en-de/data-bin
PLUGIN=(--user-dir nmt_plugin)

import_everything() {
  python - <<'END'
import importlib, pkgutil

import nmt_plugin, shared

for package in (nmt_plugin, shared):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
END
}

unit_tests() { python -m pytest -q -p no:cacheprovider "$@"; }

build_corpus() { # from a few of the help pages
  local language
  for language in en-US de; do
    mkdir -p "$WORK/pages/$language/text/swriter"
    cp -r "$PAGES/$language/text/swriter/guide" "$WORK/pages/$language/text/swriter/"
  done
  python -m nmt_plugin.corpora libreoffice --pair en-de --source "$WORK/pages" --output "$WORK/tiny.en-de" \
    --vocab-size 500 --valid-size 40 --test-size 40
}

train() { # FOLDER UPDATES FLAG...
  local folder=$1 updates=$2
  shift 2
  fairseq-train "$DATA" "${PLUGIN[@]}" --source-lang en --target-lang de --share-all-embeddings --optimizer adam \
    --lr 1e-3 --max-tokens 1000 --required-batch-size-multiple 1 \
    --max-update "$updates" --seed 1 --num-workers 0 --log-format simple --log-interval 1 --no-epoch-checkpoints \
    --save-dir "$WORK/$folder" "$@"
  [ -s "$WORK/$folder/checkpoint_last.pt" ]
}

teach() { # an architecture that fairseq knows without the plugin; post-norm layers, which the fast path is for
  train teacher 12 --arch transformer_iwslt_de_en --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 128 \
    --decoder-embed-dim 128 --criterion smoothed_cross_entropy --label-smoothing 0.1
}

distil() { # UPDATES
  train student "$1" --arch transformer_iwslt_de_en_tiny --criterion word_kd --temperature 2 \
    --teacher "$WORK/teacher/checkpoint_last.pt"
}

resume() {
  distil 20
  grep -q 'Loaded checkpoint' "$LOGS/${#ROWS[@]}.log"
}

generate() { # FLAG...
  fairseq-generate "$DATA" --path "$WORK/teacher/checkpoint_last.pt" --gen-subset valid --max-tokens 2000 \
    --required-batch-size-multiple 1 --beam 2 --max-len-b 20 --results-path "$WORK/generated" "$@"
  [ "$(grep -c '^H-' "$WORK/generated/generate-valid.txt")" = "$(wc -l <"$WORK/tiny.en-de/raw/valid.en")" ]
}

generate_without_plugin() { # with whatever reading of checkpoints is fairseq's and torch's own
  unset TORCH_FORCE_WEIGHTS_ONLY_LOAD
  generate
}

interact() {
  head -n 3 "$WORK/tiny.en-de/raw/valid.en" | fairseq-interactive "$DATA" "${PLUGIN[@]}" \
    --path "$WORK/teacher/checkpoint_last.pt" --buffer-size 3 --max-tokens 2000 --beam 2 --max-len-b 20 >"$WORK/said"
  [ "$(grep -c '^H-' "$WORK/said")" = 3 ]
}

validate() {
  fairseq-validate "$DATA" "${PLUGIN[@]}" --task translation --path "$WORK/$1/checkpoint_last.pt" \
    --valid-subset valid --max-tokens 2000 --required-batch-size-multiple 1
}

evaluate() {
  python -m nmt_plugin.evaluate --model "$WORK/student" --corpus "$WORK/tiny.en-de" --beam 2 --max-len 20
  [ -s "$WORK/student/result.json" ]
}

hydra() { # CONFIG_FOLDER FLAG...: Hydra 1.0 changes the folder, so every path is absolute
  local config=$1
  shift
  cp "$DATA"/dict.*.txt "$WORK/teacher/"
  fairseq-hydra-train --config-dir "$config" --config-name word_kd "$@" "common.user_dir=$ROOT/nmt_plugin" \
    "task.data=$DATA" "criterion.teacher=$WORK/teacher/checkpoint_last.pt" optimization.max_update=3 \
    +model.base_layers=0 "checkpoint.save_dir=$WORK/hydra-T\${criterion.temperature}"
}

hydra_sweep() {
  mkdir -p "$WORK/conf"
  grep -v chdir nmt_plugin/conf/word_kd.yaml >"$WORK/conf/word_kd.yaml"
  hydra "$WORK/conf" -m criterion.temperature=1.0,3.0 "hydra.sweep.dir=$WORK/sweep"
  [ -s "$WORK/hydra-T1.0/checkpoint_last.pt" ] && [ -s "$WORK/hydra-T3.0/checkpoint_last.pt" ]
}

mkdir -p .venv-compat
exec 8>.venv-compat/.lock
flock -n 8 || fail 'another scripts/compat.sh is running; wait for it to end'
install_environment
rm -rf "$WORK" "$LOGS"
mkdir -p "$WORK" "$LOGS"
# Restricted reading also where torch would not insist on it (before 2.6), and for what fairseq itself reads.
export PATH="$HOME_OF_THIS/bin:$PATH" OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
if needs 2.4; then export TORCH_FORCE_WEIGHTS_ONLY_LOAD=1; fi

check 'import every module of shared and nmt_plugin' import_everything
check 'pytest tests/shared' unit_tests tests/shared
check_teacher 'pytest tests/nmt_plugin' unit_tests tests/nmt_plugin
check 'python -m nmt_plugin.corpora' build_corpus
check 'fairseq-train, smoothed_cross_entropy' teach
check_teacher 'fairseq-train, word_kd' distil 12
check_teacher 'fairseq-train, word_kd, resumed' resume
check 'fairseq-validate, smoothed_cross_entropy' validate teacher
check_teacher 'fairseq-validate, word_kd' validate student
check 'fairseq-generate' generate "${PLUGIN[@]}"
check_not 'fairseq-generate without the plugin' 'fairseq 0.12.2 expects an older torch' generate_without_plugin
check 'fairseq-interactive' interact
check_teacher 'python -m nmt_plugin.evaluate' evaluate
check_not 'fairseq-hydra-train, conf/word_kd.yaml as it is' 'Hydra 1.0 does not know hydra.job.chdir' \
  hydra "$ROOT/nmt_plugin/conf"
check_teacher 'fairseq-hydra-train -m, adapted (README)' hydra_sweep
print_table
[ "$unexpected" = 0 ] || { printf '\n%s of %s do not work and should\n' "$unexpected" "${#ROWS[@]}"; exit 1; }
