#!/usr/bin/env bash
# The long form of the fault suite: each command is killed by kill -9 at moments drawn by chance, started again until it
# ends, and what it leaves is compared with what it leaves undisturbed. tests/faults/ has the short form, which CI runs.
#
#   bash scripts/faults.sh                       232 kills, 29 of each subject: some hours on 2 CPU cores
#   bash scripts/faults.sh --kills 2 --subjects "word_kd cache"
set -euo pipefail
CALLED_FROM=$PWD
cd "$(dirname "$0")/.."
source scripts/lib/options.sh

SUBJECTS="vision.train vision.evaluate word_kd cache corpus nmt.evaluate study nmt.study"
KILLS=29 SEED=1 OUTPUT=runs/faults

usage() {
  cat <<END
usage: bash scripts/faults.sh [option ...]

A moment is within a write (half of them), at a change in the command's folder, or anywhere in the time that it takes.
After every kill no file with a final name may be partial, and no process may live on; in the end scores, weights and
caches must be those of the undisturbed command, to the bit. Ends with a table, and with status 1 where anything was
found. Call it again to go on after an interruption: the kills that are done are kept in OUTPUT/kills-seedN.jsonl.

  --subjects "NAME ..."  default: $SUBJECTS
  --kills N              of each subject, default: $KILLS
  --seed N               of the moments, default: $SEED
  --output DIR           default: $OUTPUT
END
}

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --subjects | --kills | --seed | --output)
      [ $# -ge 2 ] && [ -n "$2" ] && [ "${2#--}" = "$2" ] || fail "$1 needs a value; see --help"
      ;;
    *) fail "unknown option $1; see --help" ;;
  esac
  case $1 in
    --subjects) SUBJECTS=$2 ;;
    --kills) KILLS=$2 ;;
    --seed) SEED=$2 ;;
    --output) OUTPUT=$(cd "$CALLED_FROM" && realpath -m -- "$2") ;;
  esac
  shift 2
done
check_numbers --kills "$KILLS" '[1-9][0-9]*' 29
check_numbers --seed "$SEED" "$WHOLE_PATTERN" 1
check_path --output "$OUTPUT"

bash scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
exec python -m tests.faults.run --subjects $SUBJECTS --kills "$KILLS" --seed "$SEED" --output "$OUTPUT"
