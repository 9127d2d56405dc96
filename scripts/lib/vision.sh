# Sourced by scripts/vision/*.sh: the loops over teachers, students and temperatures. Each step is one command of the
# package, which leaves alone what is finished and goes on with an interrupted training.
#
# A script sets NAME, DATA_OPTION, TEACHER, STUDENTS, ALPHAS, TEMPERATURES, SEEDS, DEVICES, ACCUMULATE, SETS, FIGURE and FIGURE_T,
# may define teacher_weights, and then calls
#   paper_tables DATA OUTPUT [KEY=VALUE ...]

source "$(dirname "${BASH_SOURCE[0]}")/options.sh"

teacher_weights() { :; } # ALPHA SEED: a script may print the overrides that say what a teacher starts from

step() { # NAME COMMAND...: says which step of how many it is
  DONE=$((DONE + 1))
  printf '[%s] step %s of %s: %s\n' "$NAME" "$DONE" "$STEPS" "$1"
  shift
  "$@"
}

count() { echo $#; }

paper_tables() { # DATA OUTPUT [KEY=VALUE ...]
  [ $# -ge 2 ] || fail "name the data and the output folder: bash scripts/vision/$NAME.sh DATA OUTPUT [KEY=VALUE ...]"
  check_path DATA "$1"
  check_path OUTPUT "$2"
  [ -d "$1" ] || fail "$1 is not a folder; name the folder of the data"
  DATA=$1 OUT=$2
  shift 2
  ALPHAS=$(sorted "$ALPHAS") TEMPERATURES=$(sorted "$TEMPERATURES") SEEDS=$(sorted "$SEEDS") # the first T is the lowest
  check_numbers ALPHAS "$ALPHAS" "$ALPHA_PATTERN" '"0 0.1"'
  check_numbers TEMPERATURES "$TEMPERATURES" "$TEMPERATURE_PATTERN" '"1 2 3 64"'
  check_numbers SEEDS "$SEEDS" "$WHOLE_PATTERN" '"1 2 3"'
  check_numbers DEVICES "$DEVICES" '[1-9][0-9]*' 8
  if [ -z "$ACCUMULATE" ]; then # as what is there was trained
    ACCUMULATE=$(cat "$OUT"/*/config.yaml 2>/dev/null | sed -n 's/^accumulate: //p' | sort -u | head -n 1 || true)
  fi
  ACCUMULATE=${ACCUMULATE:-$((DEVICES < 8 ? 8 / DEVICES : 1))}
  check_numbers ACCUMULATE "$ACCUMULATE" '[1-9][0-9]*' 8
  OVERRIDES=("data.data_dir=$DATA" "devices=$DEVICES" "accumulate=$ACCUMULATE" "$@") MEASURED=("data=$DATA_OPTION" "data.data_dir=$DATA")
  local cells override t keep=true
  check_choices
  for t in $FIGURE_T; do
    case " $TEMPERATURES " in *" $t "*) ;; *) fail "FIGURE_T names T = $t, which TEMPERATURES ($TEMPERATURES) does not have" ;; esac
  done
  for override in "$@"; do # what says how images are read holds for every command
    case $override in
      data.* | loader=* | loader.* | threads=*) MEASURED+=("$override") ;;
      fresh=true) keep=false ;; # of models that are trained again, everything is measured again
    esac
  done
  MEASURED+=("keep=$keep")
  bash scripts/setup.sh
  export PATH="$PWD/.venv/bin:$PATH"
  cells=$(($(count $SEEDS) * $(count $ALPHAS)))
  # a teacher and its scores; every student and its scores; an index for every temperature but the lowest
  STEPS=$((cells * (2 + $(count $STUDENTS) * ($(count $TEMPERATURES) * 3 - 1)) + $(count $SEEDS) + 1)) DONE=0
  local seed alpha student
  for seed in $SEEDS; do
    for alpha in $ALPHAS; do
      TEACHER_RUN=$OUT/teacher-a$alpha-seed$seed
      # shellcheck disable=SC2046 # teacher_weights prints one word or none
      step "teacher, alpha $alpha, seed $seed" python -m vision.train experiment="$TEACHER" alpha="$alpha" seed="$seed" \
        output="$TEACHER_RUN" $(teacher_weights "$alpha" "$seed") "${OVERRIDES[@]}"
      scores "$TEACHER_RUN"
      for student in $STUDENTS; do students; done
    done
    figure
  done
  step "report" python -m shared.report "$OUT"
}

check_choices() { # what would be found wrong after days
  local alpha seed student weights
  for student in $STUDENTS; do
    [ -f "vision/conf/experiment/${NAME}_$student.yaml" ] ||
      fail "STUDENTS names $student, for which vision/conf/experiment has no ${NAME}_$student.yaml"
  done
  case $SETS in
    explicit | wordnet | families | retrievers | snakes) ;;
    *) [ -f "$SETS" ] || fail "SETS=$SETS is no file, nor one of explicit, wordnet, families, retrievers, snakes" ;;
  esac
  for alpha in $ALPHAS; do
    for seed in $SEEDS; do
      weights=$(teacher_weights "$alpha" "$seed")
      [ -z "$weights" ] || [ -f "${weights#*=}" ] ||
        fail "${weights#*=} is not there; train it by scripts/vision/imagenet.sh, or name its folder: IMAGENET=DIR"
    done
  done
}

scores() { # RUN: top-1, top-5, NLL and calibration error, the table of the classes, every prediction
  step "scores of ${1##*/}" python -m vision.evaluate "${MEASURED[@]}" checkpoint="$1/last.safetensors" output="$1/scores" \
    name="${1##*/}-scores"
}

run_of() { echo "$OUT/$student-a$alpha-T$1-seed$seed"; } # TEMPERATURE: the folder of a student

students() { # of one teacher and one architecture: every temperature, then eta between the lowest and each other
  local t low=${TEMPERATURES%% *}
  for t in $TEMPERATURES; do
    step "$student, alpha $alpha, T $t, seed $seed" python -m vision.train experiment="${NAME}_$student" \
      teacher="$TEACHER_RUN/last.safetensors" temperature="$t" seed="$seed" output="$(run_of "$t")" "${OVERRIDES[@]}"
    scores "$(run_of "$t")"
  done
  for t in $TEMPERATURES; do
    if [ "$t" = "$low" ]; then continue; fi
    step "diffusion index of $student, alpha $alpha, T $low to $t, seed $seed" python -m vision.diffusion \
      "${MEASURED[@]}" low="$(run_of "$low")/last.safetensors" \
      high="$(run_of "$t")/last.safetensors" sets="$SETS" output="$OUT/diffusion-$student-a$alpha-T$low-T$t-seed$seed"
  done
}

figure() { # of the first student: a column for every alpha and temperature
  local t alpha student=${STUDENTS%% *} models=""
  for alpha in $ALPHAS; do
    for t in $FIGURE_T; do models=$models,$(run_of "$t")/last.safetensors; done
  done
  step "projection of $student, seed $seed" python -m vision.project "${MEASURED[@]}" \
    "students=[${models#,}]" "classes=[$FIGURE]" \
    output="$OUT/projection-$student-seed$seed"
}
