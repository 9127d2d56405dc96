#!/usr/bin/env bash
# The study: does smoothing the teacher hurt the student, and at which T? Every cell of alpha x T with several seeds,
# measured and tested, and a report with a verdict on each claim of Chandrasegaran et al. 2022.
#
#   bash scripts/study.sh vision                                  Fashion-MNIST: about 40 minutes on 2 CPU cores
#   bash scripts/study.sh nmt                                     LibreOffice Help, En-De: 90 to 110 minutes
#   bash scripts/study.sh vision --scale full --launcher submitit_slurm --workers 16 -- data.data_dir=/data/imagenet
set -euo pipefail
CALLED_FROM=$PWD
cd "$(dirname "$0")/.."
ROOT=$PWD
source scripts/lib/sweeps.sh
source scripts/lib/nmt.sh
source scripts/lib/study_vision.sh
source scripts/lib/study_nmt.sh

# ---- every choice ----------------------------------------------------------------------------------------------------
ALPHAS="0 0.1"                        # label smoothing of the teachers
TEMPERATURES="1 2 3 64"               # of distillation; the lowest is the one that the others are compared with
SEEDS=""                              # each trains its own teachers and students; vision "1 2 3 4 5", nmt "1 2 3"
SCALE=mini
LAUNCHER=joblib                       # Hydra's: basic (in turn), joblib (processes of this machine), submitit_slurm
WORKERS=2                             # jobs at a time
PAIRS="en-de"                         # of nmt; en-ru is the other one
OUTPUT="" PUBLISH="" FRESH=no QUICK=no EXTRA=()

usage() {
  cat <<END
usage: bash scripts/study.sh vision|nmt [option ...] [-- KEY=VALUE ...]

Teachers by label smoothing, students of each at every temperature, their scores, clusters and diffusion indices, and
the report. What is finished is never run again: call it again to go on after an interruption or a failure, or to add
seeds and temperatures.

  --scale mini|full       mini (default): Fashion-MNIST, or 2 + 2 layers on the LibreOffice Help, on CPU cores;
                          full: ImageNet (a batch in 8 parts, for one GPU a job: accumulate=8), or
                          transformer_iwslt_de_en on IWSLT14 in data/nmt/iwslt14.PAIR
  --alphas "A ..."        label smoothing of the teachers, default: $ALPHAS
  --temperatures "T ..."  default: $TEMPERATURES; the lowest is what the others are compared with
  --seeds "S ..."         default: 1 2 3 4 5 (vision), 1 2 3 (nmt); to add some, name the old ones too
  --pairs "P ..."         of nmt, en-de and en-ru, default: $PAIRS; to add one, name the old one too
  --launcher NAME         Hydra's launcher: basic (one job after another), joblib (default), submitit_slurm
  --workers N             jobs at a time, one CPU core each, default: $WORKERS; on GPUs Slurm gives each job one, while
                          the jobs of basic and joblib share the first: give them --workers 1
  --output DIR            default: runs/study-vision or -nmt, with -full or -quick
  --publish DIR           also copy records and report to DIR (a few MB), e.g. results/vision-fashion-mnist
  --quick                 minutes: hardly trained models, one seed; its numbers say nothing
  --fresh                 forget what is in the output folder
  -- KEY=VALUE ...        settings of Hydra's launcher, such as hydra.launcher.partition=NAME; for vision also of every
                          vision.train, such as data.data_dir=DIR
END
}

# ---- options ---------------------------------------------------------------------------------------------------------
read_options() {
  case ${1-} in
    vision | nmt) STUDY=$1; shift ;;
    -h | --help) usage; exit 0 ;;
    *) fail "say which study: bash scripts/study.sh vision, or nmt; see --help" ;;
  esac
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --fresh) FRESH=yes; shift; continue ;;
      --quick) QUICK=yes; shift; continue ;;
      --) shift; EXTRA=("$@"); break ;;
      --scale | --alphas | --temperatures | --seeds | --pairs | --launcher | --workers | --output | --publish)
        [ $# -ge 2 ] && [ -n "$2" ] && [ "${2#--}" = "$2" ] || fail "$1 needs a value; see --help"
        ;;
      *) fail "unknown option $1; see --help" ;;
    esac
    case $1 in
      --scale) SCALE=$2 ;;
      --alphas) ALPHAS=$2 ;;
      --temperatures) TEMPERATURES=$2 ;;
      --seeds) SEEDS=$2 ;;
      --pairs) PAIRS=$2 ;;
      --launcher) LAUNCHER=$2 ;;
      --workers) WORKERS=$2 ;;
      --output) OUTPUT=$2 ;;
      --publish) PUBLISH=$2 ;;
    esac
    shift 2
  done
  check_options
}

check_options() {
  local pair
  ALPHAS=$(sorted "$ALPHAS") TEMPERATURES=$(sorted "$TEMPERATURES") SEEDS=$(sorted "$SEEDS")
  read -r PAIRS <<<"$PAIRS"
  case $SCALE in mini | full) ;; *) fail "--scale $SCALE: choose mini or full" ;; esac
  case $LAUNCHER in basic | joblib | submitit_slurm) ;; *) fail "--launcher $LAUNCHER: choose basic, joblib or submitit_slurm" ;; esac
  for pair in $PAIRS; do
    case $pair in en-de | en-ru) ;; *) fail "--pairs $PAIRS: choose of en-de and en-ru" ;; esac
  done
  if [ $QUICK = yes ]; then SEEDS=${SEEDS:-1}; fi
  case $STUDY in vision) SEEDS=${SEEDS:-1 2 3 4 5} ;; nmt) SEEDS=${SEEDS:-1 2 3} ;; esac
  check_extra
  if [ "$LAUNCHER" = submitit_slurm ] && ! command -v srun >/dev/null; then
    fail "--launcher submitit_slurm: there is no srun here; start the study on the cluster"
  fi
  [ "$SCALE$QUICK" != fullyes ] || fail "--quick is for --scale mini; leave one of them out"
  check_numbers --alphas "$ALPHAS" "$ALPHA_PATTERN" '"0 0.1"'
  check_numbers --temperatures "$TEMPERATURES" "$TEMPERATURE_PATTERN" '"1 2 3 64"'
  check_numbers --seeds "$SEEDS" "$WHOLE_PATTERN" '"1 2 3"'
  check_numbers --workers "$WORKERS" '[1-9][0-9]*' 2
  LABEL=study-$STUDY
  RUNS=runs/$LABEL
  if [ "$SCALE" = full ]; then RUNS=$RUNS-full; fi
  if [ $QUICK = yes ]; then RUNS=$RUNS-quick; fi
  if [ -n "$OUTPUT" ]; then RUNS=$(cd "$CALLED_FROM" && realpath -m --relative-base="$ROOT" -- "$OUTPUT"); fi
  check_path --output "$RUNS"
  if [ -n "$PUBLISH" ]; then check_publish; fi
}

check_extra() { # what stands after --: settings of Hydra's launcher for both studies, of training for vision
  local override
  LAUNCHER_EXTRA=() TRAINING_EXTRA=()
  for override in "${EXTRA[@]}"; do
    case $override in
      hydra.launcher.*=*) LAUNCHER_EXTRA+=("$override") ;;
      *=*) TRAINING_EXTRA+=("$override") ;;
      *) fail "$override after --: want KEY=VALUE" ;;
    esac
  done
  [ $STUDY = vision ] || [ ${#TRAINING_EXTRA[@]} = 0 ] ||
    fail "${TRAINING_EXTRA[0]} is for vision; nmt takes its settings from scripts/lib/nmt.sh, and hydra.launcher.* from here"
}

# What is published replaces what is there: only an earlier publication may be.
check_publish() {
  local runs
  PUBLISH=$(cd "$CALLED_FROM" && realpath -m -- "$PUBLISH")
  runs=$(realpath -m -- "$RUNS")
  case $runs/ in "$PUBLISH"/*) fail "--publish $PUBLISH holds the study itself; choose another folder" ;; esac
  case $PUBLISH/ in "$runs"/*) fail "--publish $PUBLISH lies in the study itself; choose another folder" ;; esac
  if [ -n "$(ls -A "$PUBLISH" 2>/dev/null)" ]; then
    [ -f "$PUBLISH/study.json" ] && [ -f "$PUBLISH/report.md" ] ||
      fail "--publish $PUBLISH holds something else than a published study; choose another folder"
  fi
}

# ---- what both studies use ---------------------------------------------------------------------------------------------
commas() { local IFS=' '; set -- $1; IFS=,; echo "$*"; } # "1 2 3": 1,2,3

first_of() { echo "${1%% *}"; }

model_names() { # STUDENT...: of one seed; every teacher, and these students of each at every temperature
  local alpha student t names=""
  for alpha in $ALPHAS; do
    names="$names teacher-a$alpha"
    for student in "$@"; do
      for t in $TEMPERATURES; do names="$names $student-a$alpha-T$t"; done
    done
  done
  echo "${names# }"
}

others_of() { case $1 in *' '*) echo "${1#* }" ;; esac; } # without the first; none of one

low_and_high() { printf '%s\n' $TEMPERATURES | sed -n '1p;2{$p};3p'; } # of a figure: the lowest T, the third (or second)

figure_of() { # a projection is of these models: the folder's name says which, so that others get a figure of their own
  echo "$(printf 'a%s-' $ALPHAS)$(printf 'T%s-' $(low_and_high))seed$(first_of "$SEEDS")"
}

launch_words() { # sets LAUNCH: how Hydra starts the jobs of a sweep
  case $LAUNCHER in
    basic) LAUNCH=() ;;
    joblib) LAUNCH=(hydra/launcher=joblib "hydra.launcher.n_jobs=$WORKERS") ;;
    submitit_slurm)
      LAUNCH=(hydra/launcher=submitit_slurm "hydra.launcher.array_parallelism=$WORKERS" hydra.launcher.timeout_min=4320)
      if [ "$SCALE" = full ]; then LAUNCH+=(hydra.launcher.gpus_per_node=1); fi
      ;;
  esac
  LAUNCH+=("hydra.sweep.dir=$RUNS/log/hydra" "${LAUNCHER_EXTRA[@]}") # what was swept, and submitit's own logs
}

json_list() { echo "[$(printf '%s\n' $1 | paste -sd, -)]"; }

write_study_file() { # TITLE NOTE [DATA...]: what the report is of, and what it should find (and on which data)
  local title=$1 note=$2 data=""
  shift 2
  if [ $# -gt 0 ]; then data=", \"data\": [$(commas "$(printf '"%s" ' "$@")")]"; fi
  cat >"$RUNS/study.json.part" <<END
{"title": "$title", "note": "$note",
 "design": {"alphas": $(json_list "$ALPHAS"), "temperatures": $(json_list "$TEMPERATURES"), "seeds": $(json_list "$SEEDS")$data}}
END
  mv "$RUNS/study.json.part" "$RUNS/study.json"
}

publish() { # records and report, without weights; beside, then in its place
  rm -rf "$PUBLISH.part"
  mkdir -p "$PUBLISH.part"
  (cd "$RUNS" && find . \( -name result.json -o -name outcomes.npz -o -name sets.json \) -print0 | tar --null -T - -cf - study.json) |
    tar -xf - -C "$PUBLISH.part"
  python -m shared.report "$PUBLISH.part" >/dev/null
  rm -rf "$PUBLISH"
  mv "$PUBLISH.part" "$PUBLISH"
  echo "published in $PUBLISH"
}

read_options "$@"
bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
cpu_settings
launch_words
"study_$STUDY"
STATUS=0
missing || STATUS=2
if [ -n "$(find "$RUNS" -name result.json -print -quit)" ]; then python -m shared.report "$RUNS"; fi
if [ $STATUS != 0 ]; then fail "some records are missing (above); call it again to run what is missing"; fi
if [ -n "$PUBLISH" ]; then publish; fi
