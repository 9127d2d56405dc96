# Sourced by scripts/study.sh: a study is a row of Hydra sweeps, and a list of the records that they are to leave.
#
#   open_study SETTING...            make $RUNS ours: one run at a time, of one set of settings
#   expect SECONDS RECORD            a record (or another file) that a sweep makes, and how long it takes where it was measured
#   sweep NAME COMMAND...            run one sweep with its log, and show how far the study is
#   missing                          list what is expected and not there; 1 where something is
#
# The caller sets LABEL, RUNS (letters, digits and _ . / + - only), WORKERS, LAUNCHER and FRESH (yes forgets what is in $RUNS).

source "$(dirname "${BASH_SOURCE[0]}")/options.sh"

open_study() { # SETTING...
  local settings
  if [ -e "$RUNS" ] && [ ! -e "$RUNS/settings" ] && [ -n "$(ls -A -I .lock -I settings.part "$RUNS")" ]; then
    fail "$RUNS holds something that is not this study's; choose another --output"
  fi
  make_folder "$RUNS"
  exec 9>"$RUNS/.lock" # sweeps keep it open, so it also holds until the last process of a killed run has stopped
  flock -n 9 || fail "another run of this study is at work in $RUNS; wait for it to end"
  settings=$(printf '%s\n' "$LABEL" "$@")
  if [ "$FRESH" = yes ] && [ -e "$RUNS/settings" ]; then
    [ "$(head -n 1 "$RUNS/settings")" = "$LABEL" ] || fail "$RUNS is not of $LABEL; choose another --output"
    find "$RUNS" -mindepth 1 -maxdepth 1 ! -name '.*' ! -name settings -exec rm -rf {} +
    rm -f "$RUNS/settings" # last: stopped before, the folder is still known for ours
  fi
  if [ -e "$RUNS/settings" ] && [ "$(cat "$RUNS/settings")" != "$settings" ]; then
    fail "$RUNS holds results of other settings; choose another --output, or --fresh replaces them"
  fi
  if [ ! -e "$RUNS/settings" ]; then
    printf '%s\n' "$settings" >"$RUNS/settings.part"
    mv "$RUNS/settings.part" "$RUNS/settings"
  fi
  mkdir -p "$RUNS/log"
  : >"$RUNS/expected"
}

expect() { # SECONDS RECORD
  printf '%s\t%s\n' "$1" "$2" >>"$RUNS/expected"
}

# Of the records expected: how many are there, and the seconds that the others were measured to take.
count_records() { # sets there, all, left
  local seconds record
  there=0 all=0 left=0
  while IFS=$'\t' read -r seconds record; do
    all=$((all + 1))
    if [ -e "$record" ]; then there=$((there + 1)); else left=$((left + seconds)); fi
  done <"$RUNS/expected"
}

# How far, and how long still: by the seconds measured elsewhere, corrected by how fast this machine has been so far.
view() { # NAME
  local there all left minutes
  count_records
  minutes=$(awk -v left="$left" -v at_start="$LEFT_AT_START" -v took="$SECONDS" -v workers="$WORKERS" 'BEGIN {
    # 1: as fast as measured; ten minutes steady the start, when much is at work and little is done
    done = at_start > left ? at_start - left : 0 # what was measured by other sets is measured again
    speed = (done + 600 * workers) / (took + 600) / workers
    printf "%d", left / workers / speed / 60 + 1 }')
  if [ "$left" = 0 ]; then minutes=0; fi
  printf '[%s %4ss] %s: %s of %s records, about %s min left\n' "$LABEL" "$SECONDS" "$1" "$there" "$all" "$minutes"
}

stop_sweep() {
  trap - INT TERM EXIT
  local tries=0
  kill -- "-$SWEEP" 2>/dev/null || true
  while kill -0 -- "-$SWEEP" 2>/dev/null; do # until its last process is gone, so that the next call finds nothing running
    tries=$((tries + 1))
    if [ $tries = 100 ]; then kill -9 -- "-$SWEEP" 2>/dev/null || true; fi
    if [ $tries = 200 ]; then break; fi # dead ones, which nobody in this container collects
    sleep 0.1
  done
}

# Whether all that a sweep makes is there, by the done= or output= of its command: a sweep takes ten seconds to find that.
has_made() { # COMMAND...
  local word pattern="" seconds record made=no
  for word in "$@"; do
    case $word in done=*) pattern=${word#done=} ;; output=*) pattern=${word#output=}/result.json ;; esac
  done
  pattern=$(sed 's/\${[a-z.]*}/*/g' <<<"$pattern")
  while IFS=$'\t' read -r seconds record; do
    case $record in $pattern) made=yes ;; *) continue ;; esac
    if [ ! -e "$record" ]; then return 1; fi
  done <"$RUNS/expected"
  [ $made = yes ]
}

sweep() { # NAME COMMAND...: what fails is listed at the end of the study, which goes on with what it does not need
  local name=$1 log=$RUNS/log/${1// /-}.log tick=0
  local there all left
  shift
  count_records
  if [ "$there" = "$all" ] || has_made "$@"; then return; fi
  LEFT_AT_START=${LEFT_AT_START:-$left}
  set -m # a process group of its own, so that stopping the study stops what it started
  (group=$BASHPID; end_with_the_run "$group" >/dev/null 2>&1 & exec "$@") >"$log" 2>&1 & # the watcher holds the lock till all have ended
  SWEEP=$!
  set +m
  trap 'stop_sweep; echo "stopped; what is finished is kept, and the next call goes on from there" >&2; exit 130' INT TERM
  trap stop_sweep EXIT
  while kill -0 "$SWEEP" 2>/dev/null; do
    if [ $((tick % 30)) = 0 ]; then view "$name"; fi
    tick=$((tick + 1))
    sleep 1
  done
  wait "$SWEEP" || FAILED+=("$log")
  stop_sweep
  view "$name"
}

what_failed() { # LOG: the last error in it, else its last line
  grep -a '^error: ' "$1" | tail -n 1 | grep . || tail -n 1 "$1"
}

missing() {
  local seconds record list=""
  while IFS=$'\t' read -r seconds record; do
    if [ ! -e "$record" ]; then list="$list  $record"$'\n'; fi
  done <"$RUNS/expected"
  if [ -z "$list" ]; then return 0; fi
  printf 'error: not there:\n%s' "$list" >&2
  local log
  for log in "${FAILED[@]}"; do printf '%s: %s\n' "$log" "$(what_failed "$log" | cut -c1-300)" >&2; done
  return 1
}
FAILED=() LEFT_AT_START=""
