#!/usr/bin/env bash
# Kim and Rush 2016: students of the teacher's translations of the training text (sequence-level), alone and together
# with word-level distillation.
#
#   bash scripts/nmt/sequence_kd.sh
#   bash scripts/nmt/sequence_kd.sh --scale full --corpus data/nmt/iwslt14 --temperatures "1 2"
set -euo pipefail
LABEL=sequence_kd
TEMPERATURES=1
ABOUT="Sequence-level distillation from each teacher, alone and with word-level distillation at every temperature."
source "$(dirname "$0")/../lib/presets.sh"

distil() { # TEACHER CORPUS NEWCORPUS
  python -m nmt_plugin.sequence_kd --teacher "$1" --corpus "$2" --output "$3" --beam "$BEAM" --max-len "$MAX_LEN"
}

students() {
  local t distilled=$RUNS/corpora/$pair.seed$seed.a$alpha
  add_cell "$pair seed $seed translations-a$alpha" "$distilled/card.json" "$teacher/trained" 700 \
    distil "$teacher/checkpoint_last.pt" "$corpus" "$distilled"
  # At weight 0, word_kd is smoothed_cross_entropy; it names the teacher for the record and does not ask it.
  student_cells "sequence-a$alpha" "$distilled/card.json" "$distilled" \
    --teacher "$teacher/checkpoint_last.pt" --kd-weight 0
  for t in $TEMPERATURES; do
    student_cells "sequence-word-a$alpha-T$t" "$distilled/card.json" "$distilled" \
      --teacher "$teacher/checkpoint_last.pt" --temperature "$t" --kd-weight "$KD_WEIGHT"
  done
}

read_options "$@"
prepare distilled
for_each_teacher students
finish "Sequence-level distillation, alone and with word-level distillation"
