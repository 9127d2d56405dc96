# Sourced by scripts/nmt/*.sh: the options that the presets share, and the cells that each of them starts from.
#
# A preset sets LABEL, TEMPERATURES, ABOUT (what it is, for --help) and then calls
#   read_options "$@"; prepare SETTING...; for_each_teacher CELLS; finish TITLE
# where CELLS is a function that adds the cells of the students of one teacher. It finds, in variables: pair, corpus,
# seed, alpha, teacher (the teacher's folder) and base (the folder of its pair and seed).

CALLED_FROM=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cells.sh
source scripts/lib/nmt.sh

PAIRS=both CORPUS=libreoffice SCALE=mini ALPHAS="0 0.1" SEEDS=1 WORKERS=2 UPDATES="" KD_WEIGHT=0.9 OUTPUT="" FRESH=no
STUDENT_SMOOTHING=0.1 # of the student's own hard-label term: the same for every teacher, so that only teachers differ
BEAM=5 MAX_LEN=200

usage() {
  cat <<END
usage: bash scripts/nmt/$LABEL.sh [option ...]

$ABOUT
What is finished is never run again: call it again to go on after an interruption, or to add temperatures, seeds, pairs.

  --pair en-de|en-ru|both     default: $PAIRS
  --corpus libreoffice|PATH   the LibreOffice Help (built where it is missing), or corpora that
                              python -m nmt_plugin.corpora built: PATH itself, or PATH.en-de and PATH.en-ru
  --scale mini|full           mini (default): 2 + 2 layers of 128 dimensions, minutes on a CPU;
                              full: transformer_iwslt_de_en with the published recipe, for a GPU
  --temperatures "T ..."      default: $TEMPERATURES
  --alphas "A ..."            label smoothing of the teachers, default: $ALPHAS
  --seeds "S ..."             each seed trains its own teachers and students, default: $SEEDS
  --kd-weight W               weight of the distillation term, default: $KD_WEIGHT
  --updates N                 train every model for N updates instead of the scale's own length
  --beam N, --max-len N       of the translations: beam size, default $BEAM; target tokens at most, default $MAX_LEN
  --workers N                 steps that run at the same time, one CPU core (or GPU) each, default: $WORKERS
  --output DIR                default: runs/$LABEL-SCALE
  --fresh                     forget the results in the output folder and run every step again
END
}

# ---- options ---------------------------------------------------------------------------------------------------------
read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --fresh) FRESH=yes; shift; continue ;;
      --pair | --corpus | --scale | --temperatures | --alphas | --seeds | --kd-weight | --updates | --beam | --max-len | \
        --workers | --output)
        [ $# -ge 2 ] && [ -n "$2" ] && [ "${2#--}" = "$2" ] || fail "$1 needs a value; see --help"
        ;;
      *) fail "unknown option $1; see --help" ;;
    esac
    case $1 in
      --pair) PAIRS=$2 ;;
      --corpus) CORPUS=$2 ;;
      --scale) SCALE=$2 ;;
      --temperatures) TEMPERATURES=$2 ;;
      --alphas) ALPHAS=$2 ;;
      --seeds) SEEDS=$2 ;;
      --kd-weight) KD_WEIGHT=$2 ;;
      --updates) UPDATES=$2 ;;
      --beam) BEAM=$2 ;;
      --max-len) MAX_LEN=$2 ;;
      --workers) WORKERS=$2 ;;
      --output) OUTPUT=$2 ;;
    esac
    shift 2
  done
  check_options
}

check_options() {
  read -r TEMPERATURES <<<"$TEMPERATURES"; read -r ALPHAS <<<"$ALPHAS"; read -r SEEDS <<<"$SEEDS" # no outer blanks
  [ "$PAIRS" != both ] || PAIRS="en-de en-ru"
  case $SCALE in mini | full) ;; *) fail "--scale $SCALE: choose mini or full" ;; esac
  check_numbers --temperatures "$TEMPERATURES" "$TEMPERATURE_PATTERN" '"1 2 3 64"'
  check_numbers --alphas "$ALPHAS" "$ALPHA_PATTERN" '"0 0.1"'
  check_numbers --seeds "$SEEDS" '[0-9]+' '"1 2 3"'
  check_numbers --kd-weight "$KD_WEIGHT" '(0([.][0-9]+)?|1([.]0+)?)' '0.9'
  [ -z "$UPDATES" ] || check_numbers --updates "$UPDATES" '[1-9][0-9]*' 1000
  check_numbers --beam "$BEAM" '[1-9][0-9]*' 5
  check_numbers --max-len "$MAX_LEN" '[1-9][0-9]*' 200
  check_numbers --workers "$WORKERS" '[1-9][0-9]*' 2
  RUNS=runs/$LABEL-$SCALE
  if [ -n "$OUTPUT" ]; then RUNS=$(cd "$CALLED_FROM" && realpath -m -- "$OUTPUT"); fi
  check_path --output "$RUNS"
  if [ "$CORPUS" != libreoffice ]; then
    CORPUS=$(cd "$CALLED_FROM" && realpath -m -- "$CORPUS")
    check_path --corpus "$CORPUS"
  fi
  local pair
  for pair in $PAIRS; do check_pair "$pair"; done
}

check_pair() {
  if [ "$CORPUS" = libreoffice ]; then
    case $1 in en-de | en-ru) ;; *) fail "--pair $1: choose en-de, en-ru or both" ;; esac
  elif [ ! -f "$(corpus_of "$1")/card.json" ]; then
    fail "--corpus: $(corpus_of "$1") is no corpus; build it with python -m nmt_plugin.corpora, or choose --pair"
  elif ! grep -q "\"source_language\": \"${1%-*}\"" "$(corpus_of "$1")/card.json" ||
    ! grep -q "\"target_language\": \"${1#*-}\"" "$(corpus_of "$1")/card.json"; then
    fail "--corpus: $(corpus_of "$1") is not of the pair $1; choose --pair"
  fi
}

corpus_of() { # PAIR: its folder
  if [ "$CORPUS" = libreoffice ]; then
    echo "data/nmt/libreoffice.$1"
  elif [ -f "$CORPUS/card.json" ]; then
    echo "$CORPUS"
  else
    echo "$CORPUS.$1"
  fi
}

# ---- recipes ---------------------------------------------------------------------------------------------------------
# LENGTH_TEACHER and LENGTH_STUDENT are flags; the seconds were measured on one core of two (mini), and guessed (full).
choose_recipe() {
  if [ "$SCALE" = mini ]; then
    local teacher=${UPDATES:-$MINI_TEACHER_UPDATES} student=${UPDATES:-$MINI_STUDENT_UPDATES}
    MODEL=("${MINI_MODEL[@]}") RECIPE=("${MINI_RECIPE[@]}")
    read -ra LENGTH_TEACHER <<<"$(mini_length "$teacher")"
    read -ra LENGTH_STUDENT <<<"$(mini_length "$student")"
    SECONDS_TEACHER=$((10 + teacher / 9)) SECONDS_STUDENT=$((10 + student * 10 / 43)) SECONDS_SCORES=45
  else
    MODEL=("${FULL_MODEL[@]}") RECIPE=("${FULL_RECIPE[@]}")
    LENGTH_TEACHER=(--max-epoch "$FULL_EPOCHS")
    if [ -n "$UPDATES" ]; then LENGTH_TEACHER=(--max-update "$UPDATES"); fi
    LENGTH_STUDENT=("${LENGTH_TEACHER[@]}")
    SECONDS_TEACHER=3600 SECONDS_STUDENT=5400 SECONDS_SCORES=120
  fi
}

prepare() { # SETTING...: those of the preset itself
  choose_recipe
  bash scripts/setup.sh
  export PATH="$PWD/.venv/bin:$PATH"
  cpu_settings
  open_study "$LABEL" "$CORPUS" "${MODEL[@]}" "${RECIPE[@]}" "${LENGTH_TEACHER[@]}" "${LENGTH_STUDENT[@]}" \
    "$KD_WEIGHT" "$STUDENT_SMOOTHING" "$BEAM" "$MAX_LEN" "$@"
}

# ---- cells -----------------------------------------------------------------------------------------------------------
for_each_teacher() { # CELLS: all teachers first, so that students of every pair can start
  local pair corpus seed alpha base teacher step
  for step in teacher_cells "$1"; do
    for seed in $SEEDS; do
      for pair in $PAIRS; do
        corpus=$(corpus_of "$pair") base=$RUNS/nmt/$pair/seed$seed
        if [ $step = teacher_cells ] && [ "$CORPUS" = libreoffice ] && [ "$seed" = "${SEEDS%% *}" ]; then
          add_cell "$pair corpus" "$corpus/card.json" "" 30 help_corpus "$pair" "$corpus"
        fi
        for alpha in $ALPHAS; do
          teacher=$base/teacher-a$alpha
          "$step"
        done
      done
    done
  done
}

teacher_cells() {
  add_cell "$pair seed $seed teacher-a$alpha" "$teacher/trained" "$corpus/card.json" "$SECONDS_TEACHER" \
    train "$pair" "$corpus" "$teacher" "$seed" "${MODEL[@]}" "${RECIPE[@]}" "${LENGTH_TEACHER[@]}" \
    --criterion smoothed_cross_entropy --label-smoothing "$alpha"
  scores_cell "teacher-a$alpha"
}

student_cells() { # NAME NEEDS CORPUS FLAG...: a student and its scores; trained on CORPUS, scored on the pair's own
  local name=$1 needs=$2 text=$3
  shift 3
  add_cell "$pair seed $seed $name" "$base/$name/trained" "$needs" "$SECONDS_STUDENT" \
    train "$pair" "$text" "$base/$name" "$seed" "${MODEL[@]}" "${RECIPE[@]}" "${LENGTH_STUDENT[@]}" \
    --criterion word_kd --label-smoothing "$STUDENT_SMOOTHING" "$@"
  scores_cell "$name"
}

scores_cell() { # NAME
  add_cell "$pair seed $seed $1, scores" "$base/$1/result.json" "$base/$1/trained" "$SECONDS_SCORES" \
    evaluate "$corpus" "$base/$1" "$pair seed $seed $1" "$BEAM" "$MAX_LEN"
}

finish() { # TITLE: run the cells, then report what there is; 1 where something failed
  local note="" status=0
  if [ "$SCALE" = mini ]; then note="Miniature: small models, trained for minutes on CPU cores."; fi
  if [ -n "$UPDATES" ]; then
    note="Every model was trained for $UPDATES updates only (--updates)."
    if [ "$SCALE" = mini ]; then note="Miniature: small models, on CPU cores. $note"; fi
  fi
  run_cells || status=1
  if [ -n "$(find "$RUNS/nmt" -name result.json -print -quit 2>/dev/null)" ]; then report "$1" "$note"; fi
  if [ $status != 0 ]; then fail "some steps failed (above); call it again to run those that are missing"; fi
}
