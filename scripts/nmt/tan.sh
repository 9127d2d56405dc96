#!/usr/bin/env bash
# Tan et al. 2019: students of the teacher's 4 most probable tokens, renormalized, from a cache on disk.
#
#   bash scripts/nmt/tan.sh
#   bash scripts/nmt/tan.sh --scale full --corpus data/nmt/iwslt14 --temperatures 1
#
# They write the loss as a cross-entropy; it differs from the KL divergence used here by the teacher's entropy, which no
# student changes, so the gradient is the same.
set -euo pipefail
LABEL=tan
TEMPERATURES="1 2 3 64"
ABOUT="Word-level distillation as in Tan et al.: top 4 of the teacher, renormalized, weight .9, one cache for every T."
source "$(dirname "$0")/../lib/presets.sh"
TOPK=4

make_cache() { # TEACHER CORPUS CACHE
  python -m nmt_plugin.cache --teacher "$1" --data "$2/data-bin" --split train valid --topk "$TOPK" --output "$3"
}

students() {
  local t cache=$RUNS/caches/$pair.seed$seed.a$alpha
  add_cell "$pair seed $seed cache-a$alpha" "$cache/made" "$teacher/trained" 120 \
    make_cache "$teacher/checkpoint_last.pt" "$corpus" "$cache"
  for t in $TEMPERATURES; do
    student_cells "top$TOPK-a$alpha-T$t" "$cache/made" "$corpus" \
      --teacher-cache "$cache" --topk-policy renormalize --temperature "$t" --kd-weight "$KD_WEIGHT"
  done
}

read_options "$@"
prepare "$TOPK"
for_each_teacher students
finish "Word-level distillation from the top $TOPK: alpha x T"
