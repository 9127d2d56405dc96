#!/usr/bin/env bash
# The main job on real data: what a smoothed teacher and the temperature do to a student, in translation (LibreOffice
# Help, English to German) and in images (Fashion-MNIST). About 11 minutes on 2 CPU cores after set-up.
set -euo pipefail
CALLED_FROM=$PWD
cd "$(dirname "$0")/.."
source scripts/lib/cells.sh
source scripts/lib/nmt.sh

usage() {
  cat <<'EOF'
usage: bash scripts/demo.sh [--quick] [--fresh] [--output DIR]

  (nothing)       run what is missing, then print the scores and the report's path
  --quick         within 3 minutes: fewer updates, weaker numbers (its report says so)
  --fresh         forget the results in the output folder and run every cell again
  --output DIR    keep results in DIR instead of runs/demo (runs/demo-quick with --quick)
EOF
}

# ---- settings ------------------------------------------------------------------------------------------------------
SEED=1
CORPUS=data/nmt/libreoffice.en-de
TEACHER_UPDATES=$MINI_TEACHER_UPDATES STUDENT_UPDATES=$MINI_STUDENT_UPDATES
BEAM=5 MAX_LEN=200
VISION_RECIPE=mini # vision/conf/recipe/mini.yaml
RUNS=runs/demo
TITLE="lskd demo: does a smoothed teacher distil, and at which T?"
NOTE=""
WORKERS=2 # one core each

FRESH=no output=""
while [ $# -gt 0 ]; do
  case $1 in
    --quick)
      RUNS=runs/demo-quick TEACHER_UPDATES=100 STUDENT_UPDATES=60 VISION_RECIPE=quick BEAM=1 MAX_LEN=60
      NOTE="Quick run: every model saw far fewer updates than in the full demo, so the numbers are weak and say little."
      ;;
    --fresh) FRESH=yes ;;
    --output)
      [ $# -ge 2 ] && [ "${2#-}" = "$2" ] || fail '--output needs a folder'
      output=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown option $1; choose --quick, --fresh, --output DIR or --help" ;;
  esac
  shift
done
if [ -n "$output" ]; then RUNS=$(cd "$CALLED_FROM" && realpath -m -- "$output"); fi
check_path --output "$RUNS"

bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
cpu_settings
open_study demo "$SEED" "${MINI_MODEL[@]}" "${MINI_RECIPE[@]}" "$TEACHER_UPDATES" "$STUDENT_UPDATES" "$BEAM" "$MAX_LEN" \
  "$VISION_RECIPE"

# ---- translation -------------------------------------------------------------------------------------------------------
nmt_train() { # NAME UPDATES CRITERION...
  local name=$1 length
  read -ra length <<<"$(mini_length "$2")"
  shift 2
  train en-de "$CORPUS" "$RUNS/nmt/$name" "$SEED" "${MINI_MODEL[@]}" "${MINI_RECIPE[@]}" "${length[@]}" "$@"
}

nmt_half() {
  local t name teacher=$RUNS/nmt/teacher-a0.1 # the work is in its training and the students': those come first
  add_cell nmt/corpus "$CORPUS/card.json" "" 30 help_corpus en-de "$CORPUS"
  add_cell nmt/teacher-a0.1 "$teacher/trained" "$CORPUS/card.json" 190 \
    nmt_train teacher-a0.1 "$TEACHER_UPDATES" --criterion smoothed_cross_entropy --label-smoothing 0.1
  for t in 1 3; do
    add_cell "nmt/student-a0.1-T$t" "$RUNS/nmt/student-a0.1-T$t/trained" "$teacher/trained" 190 \
      nmt_train "student-a0.1-T$t" "$STUDENT_UPDATES" \
      --criterion word_kd --kd-weight 1 --temperature "$t" --teacher "$teacher/checkpoint_last.pt"
  done
  for name in student-a0.1-T1 student-a0.1-T3 teacher-a0.1; do
    add_cell "nmt/$name, scores" "$RUNS/nmt/$name/result.json" "$RUNS/nmt/$name/trained" 40 \
      evaluate "$CORPUS" "$RUNS/nmt/$name" "en-de $name" "$BEAM" "$MAX_LEN"
  done
}

# ---- images ------------------------------------------------------------------------------------------------------------
vision_train() { # NAME OVERRIDE...
  local name=$1
  shift
  python -m vision.train "output=$RUNS/vision/$name" "name=fashion-mnist $name" "seed=$SEED" "$@" "recipe=$VISION_RECIPE"
}

vision_half() {
  local alpha t name teacher records=""
  local -a students=()
  for alpha in 0 0.1; do
    teacher=$RUNS/vision/teacher-a$alpha
    add_cell "vision/teacher-a$alpha" "$teacher/result.json" "" 60 \
      vision_train "teacher-a$alpha" experiment=fashion_mnist_teacher "alpha=$alpha"
    for t in 1 3; do
      name=student-a$alpha-T$t
      add_cell "vision/$name" "$RUNS/vision/$name/result.json" "$teacher/result.json" 60 vision_train "$name" \
        experiment=fashion_mnist_student "temperature=$t" "teacher=$teacher/last.safetensors"
      students+=("$RUNS/vision/$name/last.safetensors")
      records="$records $RUNS/vision/$name/result.json"
    done
    name=$RUNS/vision/student-a$alpha
    add_cell "vision/diffusion-a$alpha" "$RUNS/vision/diffusion-a$alpha/result.json" \
      "$name-T1/result.json $name-T3/result.json" 15 python -m vision.diffusion \
      "output=$RUNS/vision/diffusion-a$alpha" "low=$name-T1/last.safetensors" "high=$name-T3/last.safetensors"
  done
  add_cell vision/projection "$RUNS/vision/projection/result.json" "$records" 15 python -m vision.project \
    "output=$RUNS/vision/projection" "students=[$(IFS=,; echo "${students[*]}")]"
}

nmt_half
vision_half
run_cells || exit 1
report "$TITLE" "$NOTE"
