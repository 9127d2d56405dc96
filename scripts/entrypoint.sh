#!/usr/bin/env bash
# What the container runs (Dockerfile).
set -euo pipefail

usage() {
  cat <<'END'
usage: docker run ... lskd COMMAND [argument ...]

  demo      scripts/demo.sh: both halves in miniature, and a report
  test      scripts/test.sh: what CI runs
  study     scripts/study.sh: label smoothing x temperature, with seeds and verdicts
  nmt       fairseq-train with the plugin loaded, e.g. nmt data/nmt/libreoffice.en-de/data-bin --criterion word_kd ...
  vision    python -m vision.train, e.g. vision data=fashion_mnist model=slim_resnet output=runs/mine
  report    python -m shared.report
  ...       any other command of the environment, e.g. python -m nmt_plugin.evaluate --help

Mount a volume at /home/lskd/lskd/runs to keep results, and your data below /home/lskd/lskd/data.
END
}

case ${1---help} in
  -h | --help) usage ;;
  demo | test | study) exec bash "scripts/$1.sh" "${@:2}" ;;
  nmt) exec fairseq-train "${@:2}" --user-dir nmt_plugin ;;
  vision) exec python -m vision.train "${@:2}" ;;
  report) exec python -m shared.report "${@:2}" ;;
  *) command -v "$1" >/dev/null || { printf 'error: there is no command %s here; see --help\n' "$1" >&2; exit 2; }
    exec "$@" ;;
esac
