#!/usr/bin/env bash
# The main job on real data: what a smoothed teacher and the temperature do to a student, in translation (LibreOffice
# Help, English to German) and in images (Fashion-MNIST). About 12 minutes on 2 CPU cores after set-up.
set -euo pipefail
CALLED_FROM=$PWD
cd "$(dirname "$0")/.."

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
NMT_MODEL=(--arch transformer_iwslt_de_en --share-all-embeddings --encoder-normalize-before --decoder-normalize-before
  --encoder-layers 2 --encoder-embed-dim 128 --encoder-ffn-embed-dim 512 --encoder-attention-heads 4
  --decoder-layers 2 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 --decoder-attention-heads 4 --dropout 0.1)
NMT_RECIPE=(--optimizer adam --adam-betas '(0.9, 0.98)' --lr 4e-3 --lr-scheduler polynomial_decay --warmup-updates 400
  --max-tokens 1000 --required-batch-size-multiple 1)
TEACHER_UPDATES=1700 # 2.1 epochs
STUDENT_UPDATES=950  # 1.2 epochs; a student learns faster, from the teacher's whole distribution
BEAM=5 MAX_LEN=200
VISION_RECIPE=mini # vision/conf/recipe/mini.yaml
RUNS=runs/demo
TITLE="lskd demo: does a smoothed teacher distil, and at which T?"
NOTE=""

fail() { printf 'error: %s\n' "$1" >&2; exit 2; }

fresh=no output=""
while [ $# -gt 0 ]; do
  case $1 in
    --quick)
      RUNS=runs/demo-quick TEACHER_UPDATES=100 STUDENT_UPDATES=60 VISION_RECIPE=quick BEAM=1 MAX_LEN=60
      NOTE="Quick run: every model saw far fewer updates than in the full demo, so the numbers are weak and say little."
      ;;
    --fresh) fresh=yes ;;
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
case $RUNS in # Hydra reads paths as part of its own grammar
  *[!A-Za-z0-9_./+-]*) fail "--output $RUNS: choose a path of letters, digits and _ . / + - only" ;;
esac

bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore
# The allocator keeps large temporary tensors instead of returning them to the system and faulting them in again, which
# is what a CPU spends much of a softmax over the dictionary on.
export MALLOC_TOP_PAD_=268435456 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_MMAP_THRESHOLD_=4294967296

# ---- the output folder: one demo at a time, of one setting -----------------------------------------------------------
if [ -e "$RUNS" ] && [ ! -e "$RUNS/settings" ] && [ -n "$(ls -A "$RUNS")" ]; then
  fail "$RUNS holds something that is not a demo's; choose another --output"
fi
mkdir -p "$RUNS" data/nmt
exec 9>"$RUNS/.lock" # lanes keep it open, so it also holds while anything of a killed demo still runs
flock -n 9 || fail "another demo is running in $RUNS; wait for it to end"
settings=$(printf '%s\n' "$SEED" "${NMT_MODEL[@]}" "${NMT_RECIPE[@]}" \
  "$TEACHER_UPDATES" "$STUDENT_UPDATES" "$BEAM" "$MAX_LEN" "$VISION_RECIPE")
if [ $fresh = yes ]; then rm -rf "$RUNS"/{nmt,vision,log,state,settings,study.json,report.md,report.html,report_figures}; fi
if [ -e "$RUNS/settings" ] && [ "$(cat "$RUNS/settings")" != "$settings" ]; then
  fail "$RUNS holds results of other settings; choose another --output, or --fresh replaces them"
fi
printf '%s\n' "$settings" >"$RUNS/settings"
rm -rf "$RUNS/state"
mkdir -p "$RUNS/log" "$RUNS/state"

# ---- cells: one step each, run once ------------------------------------------------------------------------------------
# cell LANE NAME DONE COMMAND...: run COMMAND unless the file DONE is there. DONE is made by the command itself, or
# touched here after it succeeded.
cell() {
  local lane=$1 name=$2 done_file=$3 log
  shift 3
  log=$RUNS/log/${name//[\/ ,]/-}.log
  if [ -e "$done_file" ]; then return; fi
  if [ $counting = yes ]; then echo "$name"; return; fi
  printf '%s\n%s\n%s\n' "$name" "$log" "$SECONDS" >"$RUNS/state/lane$lane.part"
  mv "$RUNS/state/lane$lane.part" "$RUNS/state/lane$lane"
  if ! "$@" >>"$log" 2>&1; then
    { printf 'error: %s failed; the end of %s:\n' "$name" "$log"; tail -n 5 "$log"; } >"$RUNS/state/failed$lane"
    return 1
  fi
  if [ ! -e "$done_file" ]; then touch "$done_file"; fi
  echo "$name" >>"$RUNS/state/done"
  rm -f "$RUNS/state/lane$lane"
}

corpus() { # two demos may want it at once: the second waits, and finds it built
  flock data/nmt/.lock python -m nmt_plugin.corpora libreoffice --pair en-de --source data/libreoffice-help \
    --output "$CORPUS"
}

nmt_train() { # NAME UPDATES CRITERION...
  local name=$1 updates=$2
  shift 2
  fairseq-train "$CORPUS/data-bin" --user-dir nmt_plugin --source-lang en --target-lang de --save-dir "$RUNS/nmt/$name" \
    "${NMT_MODEL[@]}" "${NMT_RECIPE[@]}" --max-update "$updates" --total-num-update "$updates" --seed "$SEED" \
    --no-epoch-checkpoints --save-interval-updates 500 --keep-interval-updates 1 --validate-interval-updates 1000000 \
    --num-workers 0 --log-format simple --log-interval 20 "$@"
}

nmt_evaluate() { # NAME
  python -m nmt_plugin.evaluate --model "$RUNS/nmt/$1" --corpus "$CORPUS" --beam "$BEAM" --max-len "$MAX_LEN" \
    --name "en-de $1"
}

nmt_teacher_scores() { # LANE: for the lane that is free first
  mkdir "$RUNS/state/teacher-scores" 2>/dev/null || return 0
  cell "$1" "nmt/teacher-a0.1, scores" "$RUNS/nmt/teacher-a0.1/result.json" nmt_evaluate teacher-a0.1
}

nmt_student() { # LANE TEMPERATURE
  local name=student-a0.1-T$2
  cell "$1" "nmt/$name" "$RUNS/nmt/$name/trained" nmt_train "$name" "$STUDENT_UPDATES" \
    --criterion word_kd --kd-weight 1 --temperature "$2" --teacher "$RUNS/nmt/teacher-a0.1/checkpoint_last.pt"
  cell "$1" "nmt/$name, scores" "$RUNS/nmt/$name/result.json" nmt_evaluate "$name"
}

vision_train() { # NAME OVERRIDE...
  local name=$1
  shift
  python -m vision.train "output=$RUNS/vision/$name" "name=fashion-mnist $name" "seed=$SEED" "$@" "recipe=$VISION_RECIPE"
}

vision_half() { # LANE
  local alpha t student
  local -a students=()
  for alpha in 0 0.1; do
    cell "$1" "vision/teacher-a$alpha" "$RUNS/vision/teacher-a$alpha/result.json" \
      vision_train "teacher-a$alpha" experiment=fashion_mnist_teacher "alpha=$alpha"
    for t in 1 3; do
      student=student-a$alpha-T$t
      cell "$1" "vision/$student" "$RUNS/vision/$student/result.json" vision_train "$student" \
        experiment=fashion_mnist_student "temperature=$t" "teacher=$RUNS/vision/teacher-a$alpha/last.safetensors"
      students+=("$RUNS/vision/$student/last.safetensors")
    done
    cell "$1" "vision/diffusion-a$alpha" "$RUNS/vision/diffusion-a$alpha/result.json" \
      python -m vision.diffusion "output=$RUNS/vision/diffusion-a$alpha" \
      "low=$RUNS/vision/student-a$alpha-T1/last.safetensors" "high=$RUNS/vision/student-a$alpha-T3/last.safetensors"
  done
  cell "$1" vision/projection "$RUNS/vision/projection/result.json" python -m vision.project \
    "output=$RUNS/vision/projection" "students=[$(IFS=,; echo "${students[*]}")]"
}

# ---- two lanes, one core each ------------------------------------------------------------------------------------------
lane1() {
  set -e
  cell 1 nmt/corpus "$CORPUS/card.json" corpus
  cell 1 nmt/teacher-a0.1 "$RUNS/nmt/teacher-a0.1/trained" \
    nmt_train teacher-a0.1 "$TEACHER_UPDATES" --criterion smoothed_cross_entropy --label-smoothing 0.1
  nmt_student 1 1
  nmt_teacher_scores 1
}

lane2() {
  set -e
  vision_half 2
  while [ $counting = no ] && [ ! -e "$RUNS/nmt/teacher-a0.1/trained" ]; do
    kill -0 "$pid1" 2>/dev/null || return 1 # lane 1 ended without a teacher
    sleep 1
  done
  nmt_student 2 3
  nmt_teacher_scores 2
}

progress_of() { # LANE: what runs in it, for how long, and the last thing it said
  local -a now
  { mapfile -t now <"$RUNS/state/lane$1"; } 2>/dev/null || return 0
  local said
  said=$(tail -c 4000 "${now[1]}" 2>/dev/null | tr '\r' '\n' | sed -E '/^ *$/d; s/^.*(train_inner|valid|INFO) \| //' | tail -n 1)
  printf '%-28s %4ss  %s\n' "${now[0]}" "$((SECONDS - ${now[2]}))" "$said"
}

view() {
  printf '[demo %4ss] %s of %s steps done\n' "$SECONDS" "$(cat "$RUNS/state/done" 2>/dev/null | wc -l)" "$steps"
  progress_of 1
  progress_of 2
  cat "$RUNS"/state/failed* 2>/dev/null || true
}

watch_lanes() { # redrawn in place on a terminal; elsewhere a block every 15 s
  local tick=0 lines=0 text columns=120
  while kill -0 "$pid1" 2>/dev/null || kill -0 "$pid2" 2>/dev/null; do
    if [ -t 1 ]; then
      columns=$(tput cols 2>/dev/null || echo 80)
      text=$(view | cut -c1-$((columns - 1)))
      if [ $lines -gt 0 ]; then printf '\033[%sA\033[J' "$lines"; fi
      printf '%s\n' "$text"
      lines=$(printf '%s\n' "$text" | wc -l)
    elif [ $((tick % 15)) = 0 ]; then
      view | cut -c1-$columns
    fi
    tick=$((tick + 1))
    sleep 1
  done
}

stop_lanes() {
  trap - INT TERM EXIT
  local group tries
  for group in "-$pid1" "-$pid2"; do kill -- "$group" 2>/dev/null || true; done
  for group in "-$pid1" "-$pid2"; do # until the last process is gone, so that the next call finds nothing running
    tries=0
    while kill -0 -- "$group" 2>/dev/null; do
      tries=$((tries + 1))
      if [ $tries = 100 ]; then kill -9 -- "$group" 2>/dev/null || true; fi
      sleep 0.1
    done
  done
}

counting=yes
steps=$({ lane1; lane2; } | wc -l)
rm -rf "$RUNS/state/teacher-scores"
counting=no
echo "[demo] $steps steps to do in $RUNS; a log of each in $RUNS/log"

set -m # each lane is a process group of its own, so that stopping the demo stops what it started
lane1 &
pid1=$!
lane2 &
pid2=$!
set +m
trap 'stop_lanes; echo "stopped; what is finished is kept, and the next call goes on from there" >&2; exit 130' INT TERM
trap stop_lanes EXIT
watch_lanes
status=0
wait "$pid1" || status=1
wait "$pid2" || status=1
trap - INT TERM EXIT
cat "$RUNS"/state/failed* >&2 2>/dev/null || true
[ $status = 0 ] || exit 1

printf '{"title": "%s", "note": "%s"}\n' "$TITLE" "$NOTE" >"$RUNS/study.json.part"
mv "$RUNS/study.json.part" "$RUNS/study.json"
python -m shared.report "$RUNS"
