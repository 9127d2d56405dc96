#!/usr/bin/env bash
# The translation table of Chandrasegaran et al. 2022: teachers with and without label smoothing, students at each T.
#
#   bash scripts/nmt/paper.sh --pair en-de                      miniature, LibreOffice Help: 22 minutes on two idle CPU cores
#   bash scripts/nmt/paper.sh                                   with English to Russian: about 45 minutes
#   bash scripts/nmt/paper.sh --scale full --corpus data/nmt/iwslt14 --seeds "1 2 3"
#
# The paper takes its hyper-parameters from Tan et al. 2019, so the distillation term has weight .9 and the student's
# own hard-label term label smoothing .1. The teacher's whole distribution is distilled; tan.sh has their top 4.
set -euo pipefail
LABEL=paper
TEMPERATURES="1 2 3 64"
ABOUT="The paper's alpha x T table: teachers by label smoothing, students distilled from each at every temperature."
source "$(dirname "$0")/../lib/presets.sh"

students() {
  local t
  for t in $TEMPERATURES; do
    student_cells "student-a$alpha-T$t" "$teacher/trained" "$corpus" \
      --teacher "$teacher/checkpoint_last.pt" --temperature "$t" --kd-weight "$KD_WEIGHT"
  done
}

read_options "$@"
prepare live
for_each_teacher students
finish "Label smoothing and distillation in translation: alpha x T"
