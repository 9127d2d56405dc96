# Sourced: a study is a list of cells. Each cell is one step that is run once, by one of a few workers, in one folder.
#
#   open_study LABEL SETTING...                make $RUNS ours: one run at a time, of one setting
#   add_cell NAME DONE NEEDS SECONDS COMMAND...   one step; see there
#   run_cells                                  run what is missing, and show how far it is
#   report TITLE NOTE                          the report of every record below $RUNS
#
# The caller sets RUNS (letters, digits and _ . / + - only), WORKERS, and FRESH (yes forgets what is in $RUNS).

source "$(dirname "${BASH_SOURCE[0]}")/options.sh"

# ---- the folder ------------------------------------------------------------------------------------------------------
CELL_NAMES=() CELL_DONE=() CELL_NEEDS=() CELL_SECONDS=() CELL_COMMANDS=()

open_study() { # LABEL SETTING...
  local settings
  LABEL=$1
  shift
  if [ -e "$RUNS" ] && [ ! -e "$RUNS/settings" ] && [ -n "$(ls -A -I .lock -I settings.part "$RUNS")" ]; then
    fail "$RUNS holds something that is not a $LABEL's; choose another --output"
  fi
  make_folder "$RUNS"
  exec 9>"$RUNS/.lock" # workers keep it open, so it also holds until the last of a killed run has stopped
  flock -n 9 || fail "another $LABEL is running in $RUNS; wait for it to end"
  settings=$(printf '%s\n' "$LABEL" "$@")
  if [ "$FRESH" = yes ] && [ -e "$RUNS/settings" ]; then
    [ "$(head -n 1 "$RUNS/settings")" = "$LABEL" ] || fail "$RUNS is not of $LABEL; choose another --output"
    rm -rf "$RUNS"/{nmt,vision,corpora,caches,log,state,study.json,report.md,report.html,report_figures}
    rm -f "$RUNS/settings" # last: stopped before, the folder is still known for ours
  fi
  if [ -e "$RUNS/settings" ] && [ "$(cat "$RUNS/settings")" != "$settings" ]; then
    fail "$RUNS holds results of other settings; choose another --output, or --fresh replaces them"
  fi
  if [ ! -e "$RUNS/settings" ]; then
    printf '%s\n' "$settings" >"$RUNS/settings.part"
    mv "$RUNS/settings.part" "$RUNS/settings"
  fi
  rm -rf "$RUNS/state"
  mkdir -p "$RUNS/log" "$RUNS/state/taken"
}

# ---- cells -----------------------------------------------------------------------------------------------------------
# COMMAND runs unless the file DONE is there, and once the files NEEDS (a list in one word) are. DONE is made by the
# command itself, or touched after it succeeded. SECONDS is what it took where it was measured; it serves the estimate.
add_cell() { # NAME DONE NEEDS SECONDS COMMAND...
  CELL_NAMES+=("$1") CELL_DONE+=("$2") CELL_NEEDS+=("$3") CELL_SECONDS+=("$4")
  shift 4
  CELL_COMMANDS+=("$(printf '%q ' "$@")")
}

# Whether the needs of a cell are there (ready), may come (waiting), or cannot (lost: what makes them has failed).
needs_of() { # INDEX
  local file j
  for file in ${CELL_NEEDS[$1]}; do
    if [ -e "$file" ]; then continue; fi
    for j in "${!CELL_NAMES[@]}"; do
      if [ "${CELL_DONE[j]}" = "$file" ] && [ ! -e "$RUNS/state/failed.$j" ] && [ ! -e "$RUNS/state/lost.$j" ]; then
        echo waiting
        return
      fi
    done
    echo lost
    return
  done
  echo ready
}

# The first cell that nobody has taken and that can run, as `taken`; waits for one that may come. 1: none is left.
take_cell() {
  local i waiting
  while true; do
    waiting=no
    for i in "${!CELL_NAMES[@]}"; do
      if [ -e "${CELL_DONE[i]}" ] || [ -e "$RUNS/state/taken/$i" ] || [ -e "$RUNS/state/lost.$i" ]; then continue; fi
      case $(needs_of "$i") in
        ready) if mkdir "$RUNS/state/taken/$i" 2>/dev/null; then taken=$i; return; fi ;;
        waiting) waiting=yes ;;
        lost) printf 'skipped: %s (what it needs has failed)\n' "${CELL_NAMES[i]}" >"$RUNS/state/lost.$i" ;;
      esac
    done
    if [ $waiting = no ]; then return 1; fi
    sleep 1
  done
}

run_cell() { # WORKER INDEX
  local name=${CELL_NAMES[$2]} started=$SECONDS log
  log=$RUNS/log/${name//[\/ ,]/-}.log
  : >>"$log" # there before the state names it: whoever shows the progress reads it at any moment
  printf '%s\n%s\n%s\n%s\n' "$name" "$log" "$started" "$2" >"$RUNS/state/worker$1.part"
  mv "$RUNS/state/worker$1.part" "$RUNS/state/worker$1"
  if ! (eval "${CELL_COMMANDS[$2]}") >>"$log" 2>&1; then
    failed_cell "$2" "$log"
  else
    if [ ! -e "${CELL_DONE[$2]}" ]; then touch "${CELL_DONE[$2]}"; fi
    printf '%s\t%s\t%s\n' "${CELL_SECONDS[$2]}" "$((SECONDS - started))" "$name" >>"$RUNS/state/done"
  fi
  rm -f "$RUNS/state/worker$1"
}

failed_cell() { # INDEX LOG
  local part=$RUNS/state/failing.$1.part # one for each step: two may fail at once
  { printf 'error: %s failed; the end of %s:\n' "${CELL_NAMES[$1]}" "$2"; tail -n 5 "$2" | cut -c1-300 || true; } >"$part"
  mv "$part" "$RUNS/state/failed.$1"
}

worker() { # NUMBER
  local taken group=$BASHPID watch
  end_with_the_run "$group" >/dev/null 2>&1 9>&- &
  watch=$!
  use_one_gpu "$1"
  while take_cell; do run_cell "$1" "$taken"; done
  kill "$watch" 2>/dev/null || true
}

# fairseq would spread one training over every GPU it sees, and so train another batch size than the recipe's.
use_one_gpu() { # WORKER
  local -a gpus=()
  if [ -n "${CUDA_VISIBLE_DEVICES-}" ]; then
    IFS=, read -ra gpus <<<"$CUDA_VISIBLE_DEVICES"
  elif command -v nvidia-smi >/dev/null; then
    mapfile -t gpus < <(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null)
  fi
  if [ ${#gpus[@]} -gt 0 ]; then export CUDA_VISIBLE_DEVICES=${gpus[$((($1 - 1) % ${#gpus[@]}))]}; fi
}

# ---- progress --------------------------------------------------------------------------------------------------------
progress_of() { # WORKER: what it runs, for how long, and the last thing that said
  local -a now
  { mapfile -t now <"$RUNS/state/worker$1"; } 2>/dev/null || return 0
  if [ ${#now[@]} -lt 4 ]; then return 0; fi
  local said
  said=$(tail -c 4000 "${now[1]}" 2>/dev/null | tr '\r' '\n' |
    sed -E '/^ *$/d; s/^.*(train_inner|valid|INFO) \| //' | tail -n 1) || said="" # no reason to end the study
  printf '%-36s %4ss  %s\n' "${now[0]}" "$((SECONDS - now[2]))" "$said"
}

# What is left, from the steps' expected seconds and how fast this machine turned out to be.
minutes_left() {
  local n
  local -a now
  {
    cat "$RUNS/state/done" 2>/dev/null || true
    for n in $(seq "$WORKERS"); do
      { mapfile -t now <"$RUNS/state/worker$n"; } 2>/dev/null || continue
      if [ ${#now[@]} = 4 ]; then printf 'running\t%s\t%s\n' "${CELL_SECONDS[${now[3]}]}" "$((SECONDS - now[2]))"; fi
    done
  } | awk -F '\t' -v total="$expected" -v workers="$WORKERS" '
    $1 == "running" { steps++; cost[steps] = $2; spent[steps] = $3; next }
    { done += $1; took += $2 }
    END {
      speed = (done + 60) / (took + 60)
      for (s in cost) { part = spent[s] * speed; done += part < cost[s] ? part : cost[s] }
      printf "%d", (total - done) / speed / workers / 60 + 1
    }'
}

view() {
  local ended
  ended=$({ cat "$RUNS/state/done" 2>/dev/null || true; } | wc -l) # none has ended yet: no file
  printf '[%s %4ss] %s of %s steps done%s\n' "$LABEL" "$SECONDS" "$ended" "$steps" \
    "$(if [ "$ended" -lt "$steps" ]; then printf ', about %s min left' "$(minutes_left)"; fi)"
  local n
  for n in $(seq "$WORKERS"); do progress_of "$n"; done
  cat "$RUNS"/state/failed.[0-9]* 2>/dev/null || true
}

any_alive() {
  local pid
  for pid in "${pids[@]}"; do if kill -0 "$pid" 2>/dev/null; then return 0; fi; done
  return 1
}

# A worker that something killed leaves its cell behind; others may wait for it.
bury_dead() {
  local n
  local -a now
  for n in $(seq "$WORKERS"); do
    if kill -0 "${pids[n - 1]}" 2>/dev/null || [ ! -e "$RUNS/state/worker$n" ]; then continue; fi
    mapfile -t now <"$RUNS/state/worker$n"
    failed_cell "${now[3]}" "${now[1]}"
    rm -f "$RUNS/state/worker$n"
  done
}

watch_workers() { # redrawn in place on a terminal; elsewhere a block every 15 s
  local tick=0 lines=0 text columns=120
  while any_alive; do
    if [ -t 1 ]; then
      columns=$(tput cols 2>/dev/null || echo 80)
      text=$(view | cut -c1-$((columns - 1))) || true # a display is no reason to end the study
      if [ $lines -gt 0 ]; then printf '\033[%sA\033[J' "$lines"; fi
      printf '%s\n' "$text"
      lines=$(printf '%s\n' "$text" | wc -l)
    elif [ $((tick % 15)) = 0 ]; then
      view | cut -c1-$columns || true
    fi
    tick=$((tick + 1))
    sleep 1
    bury_dead
  done
  bury_dead
}

stop_workers() {
  trap - INT TERM EXIT
  local pid tries
  for pid in "${pids[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do # until the last process is gone, so that the next call finds nothing running
    tries=0
    while kill -0 -- "-$pid" 2>/dev/null; do
      tries=$((tries + 1))
      if [ $tries = 100 ]; then kill -9 -- "-$pid" 2>/dev/null || true; fi
      if [ $tries = 200 ]; then break; fi # dead ones, which nobody in this container collects
      sleep 0.1
    done
  done
  rm -f "$RUNS"/state/*.part # of a worker that was stopped between writing its state and naming it
}

# ---- the run ---------------------------------------------------------------------------------------------------------
count_steps() { # sets steps and expected (their seconds)
  local i
  steps=0 expected=0
  for i in "${!CELL_NAMES[@]}"; do
    if [ ! -e "${CELL_DONE[i]}" ]; then
      steps=$((steps + 1))
      expected=$((expected + CELL_SECONDS[i]))
    fi
  done
}

run_cells() { # 1 where a cell failed; the others have run all the same
  local n steps expected
  local -a pids=()
  count_steps
  echo "[$LABEL] $steps steps to do in $RUNS; a log of each in $RUNS/log"
  set -m # each worker is a process group of its own, so that stopping the run stops what it started
  for n in $(seq "$WORKERS"); do
    worker "$n" &
    pids+=($!)
  done
  set +m
  trap 'stop_workers; echo "stopped; what is finished is kept, and the next call goes on from there" >&2; exit 130' INT TERM
  trap stop_workers EXIT
  watch_workers
  trap - INT TERM EXIT
  cat "$RUNS"/state/failed.[0-9]* "$RUNS"/state/lost.[0-9]* >&2 2>/dev/null || true
  count_steps
  [ $steps = 0 ]
}

report() { # TITLE NOTE
  printf '{"title": "%s", "note": "%s"}\n' "$1" "$2" >"$RUNS/study.json.part"
  mv "$RUNS/study.json.part" "$RUNS/study.json"
  python -m shared.report "$RUNS"
}
