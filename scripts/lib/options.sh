# Sourced by whatever a person calls: mistakes in one line and status 2, and options that are read alike everywhere.

fail() { printf 'error: %s\n' "${1//[[:cntrl:]]/?}" >&2; exit 2; }

# Hydra reads paths as part of its own grammar, and the lists of a study are separated by blanks.
check_path() { # OPTION PATH
  case $2 in
    -* | *[!A-Za-z0-9_./+-]*) fail "$1 $2: choose a path of letters, digits and _ . / + - only, without - in front" ;;
  esac
}

make_folder() { # FOLDER
  mkdir -p "$1" 2>/dev/null || fail "cannot make the folder $1; choose another --output"
  [ -w "$1" ] || fail "cannot write in the folder $1; choose another --output"
}

check_numbers() { # OPTION LIST PATTERN EXAMPLE
  local number twice
  for number in $2; do
    [[ $number =~ ^$3$ ]] || fail "$1 $2: $number is not right; e.g. $1 $4"
  done
  [ -n "${2// /}" ] || fail "$1 names no number; e.g. $1 $4"
  twice=$(printf '%s\n' $2 | awk '{ if (seen[$1 + 0]++) { print $1; exit } }') # 1 and 1.0 are the same cell
  [ -z "$twice" ] || fail "$1 $2: $twice stands there twice; name each once"
}
sorted() { printf '%s\n' $1 | sort -g | paste -sd ' ' -; } # numbers, without outer blanks
# As Hydra writes numbers, so that a folder's name is found again: no 0.10, .5 or 01.
WHOLE_PATTERN='(0|[1-9][0-9]*)'
TEMPERATURE_PATTERN='([1-9][0-9]*([.][0-9]*[1-9])?|0[.]0{0,3}[1-9]|0[.]0{0,3}[1-9][0-9]*[1-9])' ALPHA_PATTERN='(0|0[.]0{0,3}[1-9]|0[.]0{0,3}[1-9][0-9]*[1-9])'

# A run that is killed outright can stop nothing itself: what it started would go on unseen through all that is left.
end_with_the_run() { # GROUP
  while kill -0 $$ 2>/dev/null; do sleep 1; done # $$ is the run's own process, in what it started too
  trap '' TERM
  kill -- "-$1"
  sleep 5 # a process that was just being started may not have been there to be told
  kill -9 -- "-$1"
}

cpu_settings() { # one core for each worker
  export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore
  # The allocator keeps large temporary tensors instead of returning them to the system and faulting them in again,
  # which is what a CPU spends much of a softmax over the dictionary on.
  export MALLOC_TOP_PAD_=268435456 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_MMAP_THRESHOLD_=4294967296
}
