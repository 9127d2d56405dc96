# Sourced by the studies of scripts/vision/ that run on Fashion-MNIST: their options, their folder, their report.
#
# A study sets LABEL, ABOUT (what it is, for --help), SEEDS and NOTE_QUICK, defines `quick` (what --quick makes smaller), and calls
#   read_options "$@"; prepare SETTING...; add_cell ... for every step; finish TITLE
# Every training gets the overrides of EXTRA.

CALLED_FROM=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib/cells.sh

WORKERS=2 FRESH=no NOTE="" OUTPUT="" EXTRA=()

usage() {
  cat <<END
usage: bash scripts/vision/$LABEL.sh [option ...]

$ABOUT
What is finished is never run again: call it again to go on after an interruption, or to add seeds.

  --seeds "S ..."   default: $SEEDS
  --quick           a few minutes: $NOTE_QUICK
  --workers N       steps that run at the same time, one CPU core (or GPU) each, default: $WORKERS
  --output DIR      default: runs/$LABEL (runs/$LABEL-quick with --quick)
  --fresh           forget the results in the output folder and run every step again
END
}

read_options() {
  local seeds=""
  RUNS=runs/$LABEL
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --fresh) FRESH=yes ;;
      --quick) RUNS=runs/$LABEL-quick NOTE="Quick run: $NOTE_QUICK"; quick ;;
      --seeds | --workers | --output)
        [ $# -ge 2 ] && [ -n "$2" ] && [ "${2#--}" = "$2" ] || fail "$1 needs a value; see --help"
        case $1 in --seeds) seeds=$2 ;; --workers) WORKERS=$2 ;; --output) OUTPUT=$2 ;; esac
        shift
        ;;
      *) fail "unknown option $1; see --help" ;;
    esac
    shift
  done
  SEEDS=${seeds:-$SEEDS}
  check_numbers --seeds "$SEEDS" "$WHOLE_PATTERN" '"1 2 3"'
  case $WORKERS in *[!0-9]* | 0) fail "--workers $WORKERS: want a whole number above 0" ;; esac
  if [ -n "$OUTPUT" ]; then RUNS=$(cd "$CALLED_FROM" && realpath -m -- "$OUTPUT"); fi
  check_path --output "$RUNS"
}

prepare() { # SETTING...: what results of one folder must share; seeds may be added
  bash scripts/setup.sh
  export PATH="$PWD/.venv/bin:$PATH"
  cpu_settings
  open_study "$LABEL" "$@" "${EXTRA[@]}"
}

train() { # NAME SEED OVERRIDE...
  local name=$1 seed=$2
  shift 2
  python -m vision.train "output=$RUNS/vision/$name" "name=$name" "seed=$seed" "$@" "${EXTRA[@]}"
}

finish() { # TITLE
  run_cells || exit 1
  report "$1" "$NOTE"
}
