# Sourced by scripts/study.sh: the study of images. Needs its options, and sweeps.sh.

# What there is to train, by scale; a student is FOLDER:EXPERIMENT. Seconds were measured on one core of two (mini).
choose_vision() {
  if [ "$SCALE" = full ]; then
    TEACHER=imagenet_teacher STUDENTS="resnet18:imagenet_resnet18 resnet50:imagenet_resnet50" DATA=imagenet SETS=retrievers
    SECONDS_TEACHER=80000 SECONDS_STUDENT=160000 SECONDS_MEASURED=1800 # guessed, for one GPU
    TITLE="Label smoothing and distillation on ImageNet: alpha x T" NOTE=""
    TRAINED=(accumulate=8) # a job has one GPU, so 256 of a batch's 2,048 images at a time, as on each of the paper's 8
  else
    TEACHER=fashion_mnist_teacher STUDENTS=student:fashion_mnist_student DATA=fashion_mnist SETS=explicit
    SECONDS_TEACHER=50 SECONDS_STUDENT=55 SECONDS_MEASURED=12
    TITLE="Label smoothing and distillation on Fashion-MNIST: alpha x T"
    NOTE="Miniature: small networks and 20,000 training images, on CPU cores."
    TRAINED=()
  fi
  TRAINED+=("${TRAINING_EXTRA[@]}") MEASURED=("data=$DATA" keep=true)
  if [ $QUICK = yes ]; then
    TRAINED+=(recipe.epochs=1 recipe.warmup_epochs=0 recipe.train_size=600)
    NOTE="Quick run: every model saw 600 images once, so the numbers say nothing."
  fi
  local override
  for override in "${TRAINING_EXTRA[@]}"; do # what says how images are read holds for every command
    case $override in data.* | loader=* | loader.*) MEASURED+=("$override") ;; esac
  done
}

study_vision() {
  local student name names="" alphas temperatures seeds low highs of=\${point.run}-seed\${point.seed}
  choose_vision
  open_study "$SCALE" "$QUICK" "$TEACHER" "$STUDENTS" "$SETS" "${TRAINING_EXTRA[@]}"
  write_study_file "$TITLE" "$NOTE"
  alphas=$(commas "$ALPHAS") temperatures=$(commas "$TEMPERATURES") seeds=$(commas "$SEEDS")
  low=$(first_of "$TEMPERATURES") highs=$(commas "$(others_of "$TEMPERATURES")")
  expect_vision
  sweep teachers python -m vision.train -m "${LAUNCH[@]}" experiment=$TEACHER "alpha=$alphas" "seed=$seeds" \
    "output=$RUNS/teacher-a\${alpha}-seed\${seed}" "name=$DATA teacher-a\${alpha}-seed\${seed}" "${TRAINED[@]}"
  for student in $STUDENTS; do
    name=${student%%:*} names="$names ${student%%:*}"
    sweep "students $name" python -m vision.train -m "${LAUNCH[@]}" "experiment=${student#*:}" \
      "+point.alpha=$alphas" "temperature=$temperatures" "seed=$seeds" \
      "teacher=$RUNS/teacher-a\${point.alpha}-seed\${seed}/last.safetensors" \
      "output=$RUNS/$name-a\${point.alpha}-T\${temperature}-seed\${seed}" \
      "name=$DATA $name-a\${point.alpha}-T\${temperature}-seed\${seed}" "${TRAINED[@]}"
    if [ -n "$highs" ]; then
      sweep "diffusion $name" python -m vision.diffusion -m "${LAUNCH[@]}" "${MEASURED[@]}" "sets=$SETS" \
        "+point.alpha=$alphas" "+point.temperature=$highs" "+point.seed=$seeds" \
        "low=$RUNS/$name-a\${point.alpha}-T$low-seed\${point.seed}/last.safetensors" \
        "high=$RUNS/$name-a\${point.alpha}-T\${point.temperature}-seed\${point.seed}/last.safetensors" \
        "output=$RUNS/diffusion-$name-a\${point.alpha}-T$low-T\${point.temperature}-seed\${point.seed}" \
        "name=$DATA diffusion-$name-a\${point.alpha}-T$low-T\${point.temperature}-seed\${point.seed}"
    fi
    sweep "projection $name" python -m vision.project "${MEASURED[@]}" "$(projected "$name")" \
      "output=$RUNS/projection-$name-$(figure_of)" "name=$DATA projection-$name-$(figure_of)"
  done
  sweep clusters python -m vision.clusters -m "${LAUNCH[@]}" "${MEASURED[@]}" "sets=$SETS" \
    "+point.run=$(commas "$(model_names $names)")" "+point.seed=$seeds" \
    "checkpoint=$RUNS/$of/last.safetensors" "output=$RUNS/clusters-$of" "name=$DATA clusters-$of"
}

projected() { # STUDENT: of the first seed, a column for every alpha and these two T
  local alpha t models=""
  for alpha in $ALPHAS; do
    for t in $(low_and_high); do
      models=$models,$RUNS/$1-a$alpha-T$t-seed$(first_of "$SEEDS")/last.safetensors
    done
  done
  echo "students=[${models#,}]"
}

expect_vision() {
  local alpha seed t student name
  for seed in $SEEDS; do
    for alpha in $ALPHAS; do
      expect $SECONDS_TEACHER "$RUNS/teacher-a$alpha-seed$seed/result.json"
      expect $SECONDS_MEASURED "$RUNS/clusters-teacher-a$alpha-seed$seed/result.json"
      for student in $STUDENTS; do
        name=${student%%:*}
        for t in $TEMPERATURES; do
          expect $SECONDS_STUDENT "$RUNS/$name-a$alpha-T$t-seed$seed/result.json"
          expect $SECONDS_MEASURED "$RUNS/clusters-$name-a$alpha-T$t-seed$seed/result.json"
        done
        for t in $(others_of "$TEMPERATURES"); do
          expect $SECONDS_MEASURED "$RUNS/diffusion-$name-a$alpha-T$low-T$t-seed$seed/result.json"
        done
      done
    done
  done
  for student in $STUDENTS; do expect $SECONDS_MEASURED "$RUNS/projection-${student%%:*}-$(figure_of)/result.json"; done
}
