# Sourced by scripts/study.sh: the study of translation. Needs its options, sweeps.sh and nmt.sh.
#
# fairseq-train and the commands of nmt_plugin are not Hydra's own, so each is a job of python -m nmt_plugin.job, in
# whose words ${point.alpha}, ${point.temperature} and ${point.seed} stand for what the sweep varies.

KD_WEIGHT=0.9 STUDENT_SMOOTHING=0.1 # Tan et al. 2019; the student's own smoothing is the same for every teacher
BEAM=5 MAX_LEN=200                  # of the translations
SENTENCES=4000                      # of training, for eta and clusters; all of the validation sentences
AT=a\${point.alpha}                 # in the names of runs
AT_T=$AT-T\${point.temperature}
ANY=\${point.run}-seed\${point.seed} # a teacher or a student: one of $runs

choose_nmt() {
  local teacher student
  if [ "$SCALE" = full ]; then
    MODEL=("${FULL_MODEL[@]}") RECIPE=("${FULL_RECIPE[@]}") CORPUS=data/nmt/iwslt14
    TEACHER_LENGTH=(--max-epoch "$FULL_EPOCHS") STUDENT_LENGTH=(--max-epoch "$FULL_EPOCHS")
    SECONDS_TEACHER=3600 SECONDS_STUDENT=5400 SECONDS_SCORES=120 SECONDS_MEASURED=120 # guessed, for one GPU
    TITLE="Label smoothing and distillation on IWSLT14: alpha x T" NOTE=""
  else
    teacher=$MINI_TEACHER_UPDATES student=$MINI_STUDENT_UPDATES CORPUS=data/nmt/libreoffice
    TITLE="Label smoothing and distillation on the LibreOffice Help: alpha x T"
    NOTE="Miniature: small models, trained for minutes on CPU cores. S1 of a token: the five nearest to it by the mean of"
    NOTE="$NOTE all teachers' distances, so that no teacher's own noise chooses; the same for every model. S2: all others."
    if [ $QUICK = yes ]; then
      teacher=60 student=40 BEAM=1 MAX_LEN=60 SENTENCES=500
      NOTE="Quick run: every model saw far too few updates, so the numbers say nothing."
    fi
    MODEL=("${MINI_MODEL[@]}") RECIPE=("${MINI_RECIPE[@]}")
    read -ra TEACHER_LENGTH <<<"$(mini_length "$teacher")"
    read -ra STUDENT_LENGTH <<<"$(mini_length "$student")"
    SECONDS_TEACHER=$((10 + teacher / 5)) SECONDS_STUDENT=$((10 + student / 4)) SECONDS_SCORES=45 SECONDS_MEASURED=12
  fi
}

study_nmt() {
  local pair alphas temperatures seeds low highs runs corpus base step data=()
  choose_nmt
  check_corpora
  open_study "$SCALE" "$QUICK" "$CORPUS" "${MODEL[@]}" "${RECIPE[@]}" "${TEACHER_LENGTH[@]}" "${STUDENT_LENGTH[@]}" \
    "$KD_WEIGHT" "$STUDENT_SMOOTHING" "$BEAM" "$MAX_LEN" "$SENTENCES"
  for pair in $PAIRS; do data+=("$(basename "$(realpath -m -- "$CORPUS.$pair")")"); done # as records name it
  write_study_file "$TITLE" "$NOTE" "${data[@]}"
  alphas=$(commas "$ALPHAS") temperatures=$(commas "$TEMPERATURES") seeds=$(commas "$SEEDS")
  low=$(first_of "$TEMPERATURES") highs=$(commas "$(others_of "$TEMPERATURES")")
  runs=$(commas "$(model_names student)")
  for pair in $PAIRS; do
    base=$RUNS/$pair
    expect_nmt
  done
  for pair in $PAIRS; do
    corpus=$CORPUS.$pair base=$RUNS/$pair
    if [ ! -f "$corpus/card.json" ]; then
      sweep "corpus $pair" bash -c 'source scripts/lib/nmt.sh; help_corpus "$@"' _ "$pair" "$corpus"
    fi
    models_of_pair
    for step in scores sets diffusion clusters projection; do "${step}_of_pair"; done
  done
}

check_corpora() { # before anything is trained; those of the LibreOffice Help are built where they are missing
  local pair card
  if [ "$SCALE" = mini ]; then return; fi
  for pair in $PAIRS; do
    card=$CORPUS.$pair/card.json
    [ -f "$card" ] || fail "$CORPUS.$pair is no corpus; build it with python -m nmt_plugin.corpora iwslt14, or choose --pairs"
    grep -q "\"target_language\": \"${pair#*-}\"" "$card" || fail "$CORPUS.$pair is not of the pair $pair; build it again"
  done
}

models_of_pair() {
  local TRAIN of=teacher-$AT-seed\${point.seed}
  train_command "$pair" "$corpus" "$base/$of" "\${point.seed}" "${MODEL[@]}" "${RECIPE[@]}" "${TEACHER_LENGTH[@]}" \
    --criterion smoothed_cross_entropy --label-smoothing "\${point.alpha}"
  jobs_of "teachers $pair" "$of/trained" "" "${TRAIN[@]}" -- "+point.alpha=$alphas"
  train_command "$pair" "$corpus" "$base/student-$AT_T-seed\${point.seed}" "\${point.seed}" "${MODEL[@]}" "${RECIPE[@]}" \
    "${STUDENT_LENGTH[@]}" --criterion word_kd --label-smoothing "$STUDENT_SMOOTHING" --kd-weight "$KD_WEIGHT" \
    --temperature "\${point.temperature}" --teacher "$base/$of/checkpoint_last.pt"
  jobs_of "students $pair" "student-$AT_T-seed\${point.seed}/trained" "$of/trained" "${TRAIN[@]}" -- \
    "+point.alpha=$alphas" "+point.temperature=$temperatures"
}

scores_of_pair() {
  jobs_of "scores $pair" "$ANY/result.json" "$ANY/trained" python -m nmt_plugin.evaluate --model "$base/$ANY" \
    --corpus "$corpus" --name "$pair $ANY" --beam "$BEAM" --max-len "$MAX_LEN" -- "+point.run=$runs"
}

# S1 and S2 of the most frequent words, the same for all models: by the centroids of all teachers, because words that are
# nearest by one of them are nearer in that one than in the others by chance, which C2 compares. More teachers choose anew.
sets_of_pair() {
  local sets=$base/sets of=a${ALPHAS##* } alpha seed high=${TEMPERATURES##* } run needed=() teachers=() old_alphas old_seeds
  if [ -z "$highs" ] || [ "$(cat "$base/sets.of" 2>/dev/null)" = "$ALPHAS / $SEEDS" ]; then return; fi
  if [ -e "$base/sets.json" ] && [ -e "$base/sets.of" ]; then # a call of fewer measures by the sets that are there
    IFS=/ read -r old_alphas old_seeds <"$base/sets.of"
    for alpha in $old_alphas; do case " $ALPHAS " in *" $alpha "*) ;; *) return ;; esac; done
    for seed in $old_seeds; do case " $SEEDS " in *" $seed "*) ;; *) return ;; esac; done
  fi
  for alpha in $ALPHAS; do
    for seed in $SEEDS; do
      needed+=("teacher-a$alpha-seed$seed") teachers+=("$base/teacher-a$alpha-seed$seed/checkpoint_last.pt")
    done
  done
  seed=seed$(first_of "$SEEDS")
  for run in "${needed[@]}" "student-$of-T$low-$seed" "student-$of-T$high-$seed"; do
    if [ ! -e "$base/$run/trained" ]; then return; fi
  done
  sweep "class sets $pair" python -m nmt_plugin.diffusion --corpus "$corpus" --output "$sets" --max-sentences "$SENTENCES" \
    --low "$base/student-$of-T$low-$seed/checkpoint_last.pt" --high "$base/student-$of-T$high-$seed/checkpoint_last.pt" \
    --teacher "${teachers[@]}"
  if [ -e "$sets/result.json" ]; then
    rm -rf "$base"/{clusters,diffusion,projection}-* # by the sets of other teachers; minutes, of models that stay
    mv "$sets/result.json" "$base/sets.json"         # not a measurement of its own
    printf '%s / %s\n' "$ALPHAS" "$SEEDS" >"$base/sets.of.part"
    mv "$base/sets.of.part" "$base/sets.of"
  fi
}

diffusion_of_pair() {
  local at=diffusion-$AT-T$low-T\${point.temperature}-seed\${point.seed}
  if [ -z "$highs" ]; then return; fi
  jobs_of "diffusion $pair" "$at/result.json" \
    "student-$AT-T$low-seed\${point.seed}/trained student-$AT_T-seed\${point.seed}/trained sets.json" \
    python -m nmt_plugin.diffusion --corpus "$corpus" --sets "$base/sets.json" \
    --low "$base/student-$AT-T$low-seed\${point.seed}/checkpoint_last.pt" \
    --high "$base/student-$AT_T-seed\${point.seed}/checkpoint_last.pt" --max-sentences "$SENTENCES" \
    --output "$base/$at" --name "$pair $at" -- "+point.alpha=$alphas" "+point.temperature=$highs"
}

clusters_of_pair() {
  if [ -z "$highs" ]; then return; fi
  jobs_of "clusters $pair" "clusters-$ANY/result.json" "$ANY/trained sets.json" python -m nmt_plugin.clusters \
    --corpus "$corpus" --sets "$base/sets.json" --model "$base/$ANY/checkpoint_last.pt" --max-sentences "$SENTENCES" \
    --output "$base/clusters-$ANY" --name "$pair clusters-$ANY" -- "+point.run=$runs"
}

projection_of_pair() { # of the first seed: its first target with one class of S1 and one of S2
  local alpha t of=()
  if [ -z "$highs" ] || [ ! -e "$base/sets.json" ] || [ -e "$base/projection-$(figure_of)/result.json" ]; then return; fi
  for alpha in $ALPHAS; do
    for t in $(low_and_high); do of+=("$base/student-a$alpha-T$t-seed$(first_of "$SEEDS")/checkpoint_last.pt"); done
  done
  sweep "projection $pair" python -m nmt_plugin.project --corpus "$corpus" --sets "$base/sets.json" --students "${of[@]}" \
    --max-sentences "$SENTENCES" --output "$base/projection-$(figure_of)" \
    --name "$pair projection-$(figure_of)"
}

jobs_of() { # NAME DONE NEEDS WORD... -- OVERRIDE...: a sweep over seeds and OVERRIDE of a command that makes DONE of NEEDS
  local name=$1 done=$2 command="" file needs=""
  for file in $3; do needs="$needs,$base/$file"; done
  shift 3
  while [ "$1" != -- ]; do
    case $1 in *'${point.'*) command="$command '$1'" ;; *) command="$command $(printf '%q' "$1")" ;; esac
    shift
  done
  shift
  sweep "$name" python -m nmt_plugin.job -m "${LAUNCH[@]}" "$@" "+point.seed=$seeds" "done=$base/$done" \
    "needs=[${needs#,}]" "log=$RUNS/log/$pair/${done%/*}-${done##*/}.log" "command=\"${command# }\""
}

expect_nmt() {
  local alpha seed t
  if [ -n "$highs" ]; then expect $SECONDS_MEASURED "$base/projection-$(figure_of)/result.json"; fi
  for seed in $SEEDS; do
    for alpha in $ALPHAS; do
      expect_model "teacher-a$alpha-seed$seed" $SECONDS_TEACHER
      for t in $TEMPERATURES; do expect_model "student-a$alpha-T$t-seed$seed" $SECONDS_STUDENT; done
      for t in $(others_of "$TEMPERATURES"); do
        expect $SECONDS_MEASURED "$base/diffusion-a$alpha-T$low-T$t-seed$seed/result.json"
      done
    done
  done
}

expect_model() { # RUN SECONDS
  expect "$2" "$base/$1/trained"
  expect $SECONDS_SCORES "$base/$1/result.json"
  if [ -n "$highs" ]; then expect $SECONDS_MEASURED "$base/clusters-$1/result.json"; fi
}
