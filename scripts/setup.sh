#!/usr/bin/env bash
# Everything a fresh machine needs: .venv with the pinned packages, and two public data sets in data/.
# Safe to run again: what is there already is left alone.
#
#   PYTHON=/path/to/python3.11   the interpreter, 3.11 or 3.12
#   DALI=cuda120|cuda130|none    which DALI; by default cuda120, which also reads images on CPUs. Or the address of a
#                                wheel with #sha256=... behind it, such as nvidia-dali-cuda110's in NVIDIA's own index
set -euo pipefail
cd "$(dirname "$0")/.."

readonly STEPS=6
readonly HELP_PACKAGES=(libreoffice-help-en-us libreoffice-help-de libreoffice-help-ru)
readonly IMAGE_PACKAGE=dataset-fashion-mnist
readonly LOCK=scripts/lock/environment.txt

step() { printf '[setup %s/%s] %s (%ss so far)\n' "$1" "$STEPS" "$2" "$SECONDS" >&2; }
fail() { printf 'error: %s\n' "$1" >&2; exit 2; }

DALI_LOCK=""
case ${DALI=cuda120} in
  cuda120 | cuda130) DALI_LOCK=scripts/lock/dali-$DALI.txt ;;
  none | *'#sha256='*) ;;
  *) fail "DALI=$DALI: choose cuda120, cuda130, none, or the address of a wheel with #sha256=... behind it" ;;
esac

find_python() {
  local candidate
  for candidate in ${PYTHON-python3.11 python3 python3.12}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "${PYTHON:+$PYTHON is not it: }Python 3.11 or 3.12 is needed; name one: PYTHON=/path/to/python3.11 bash scripts/setup.sh"
}

# What the environment was made from: if none of it has changed, the environment is left alone.
environment_key() { { pwd; echo "$DALI"; cat pyproject.toml $LOCK $DALI_LOCK scripts/setup.sh; } | sha256sum | cut -d' ' -f1; }

# The lock's entries of one package, or those of all the others.
locked() { awk -v name="$1==" '/^[^ #]/ { keep = index($1, name) == 1 } keep' $LOCK; }
locked_but() { awk -v name="$1==" '/^[^ #]/ { keep = index($1, name) != 1 } keep' $LOCK; }

install_environment() {
  local stamp=.venv/.lskd-environment python install
  if [ "$(cat "$stamp" 2>/dev/null || true)" = "$(environment_key)" ]; then return; fi
  command -v g++ >/dev/null || fail 'g++ is needed to build fairseq; install it, e.g. apt-get install g++'
  python=$(find_python)
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    fail "Python's headers are needed to build fairseq; install them, e.g. apt-get install python3-dev"
  step 1 "virtual environment in .venv from $python"
  rm -f "$stamp"
  # A checkout that was moved or copied has scripts that point to the old place: those are made anew.
  if [ "$(cat .venv/.lskd-location 2>/dev/null || true)" != "$PWD" ]; then rm -rf .venv; fi
  "$python" -m venv .venv && pwd >.venv/.lskd-location || fail "cannot make .venv; install the venv module, e.g. apt-get install python3-venv"
  # Every file must have a hash of the lock, and the lock must name every package (scripts/lock.sh rebuilds it).
  install=(.venv/bin/python -m pip --disable-pip-version-check install --no-deps --no-build-isolation)
  step 2 'torch and everything else but fairseq (about 3 GB)'
  { locked setuptools; locked wheel; } | "${install[@]}" --require-hashes -r /dev/stdin
  locked_but fairseq-fixed | "${install[@]}" --require-hashes -r /dev/stdin
  step 3 'fairseq (built here against that torch, about 2 minutes)'
  locked fairseq-fixed | "${install[@]}" --require-hashes -r /dev/stdin
  step 4 'lskd itself, and DALI'
  "${install[@]}" -e .
  case $DALI in
    cuda*) "${install[@]}" --require-hashes -r "$DALI_LOCK" ;;
    *'#sha256='*) .venv/bin/python -m pip --disable-pip-version-check install "$DALI" ;; # and what it requires, unlocked
  esac
  .venv/bin/python -m pip --disable-pip-version-check check
  environment_key >"$stamp"
}

# Debian's packages are unpacked below data/; nothing is installed and no root is needed. The package lists go to a
# folder of our own, because a fresh machine often has none.
unpack_packages() { # <folder to unpack into> <package>...
  local into=$1 apt
  shift
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail \
    "apt-get and dpkg are not here: on a Debian machine unpack $* and copy their files as README.md, \"Data\", shows"
  mkdir -p "$into/lists/partial" "$into/cache/archives/partial"
  into=$(realpath "$into")
  apt=(apt-get -q -o "Dir::State::Lists=$into/lists" -o "Dir::Cache=$into/cache" -o APT::Sandbox::User="$(id -un)")
  (
    cd "$into"
    "${apt[@]}" update >apt.log 2>&1 && "${apt[@]}" download "$@" >>apt.log 2>&1
  ) || fail "apt-get could not fetch $*: $(tail -n 1 "$into/apt.log")"
  local package
  for package in "$into"/*.deb; do dpkg -x "$package" "$into"; done
}

fetch_help_pages() {
  [ -d data/libreoffice-help ] && return
  step 5 "text: LibreOffice Help in English, German and Russian from Debian's packages"
  local part=data/.libreoffice-help.part
  rm -rf "$part"
  unpack_packages "$part" "${HELP_PACKAGES[@]}"
  mkdir "$part/whole"
  mv "$part"/usr/share/libreoffice/help/{en-US,de,ru} "$part/whole/"
  for package in "$part"/*.deb; do basename "$package" | sed 's/%3a/:/'; done >"$part/whole/PACKAGES"
  mv "$part/whole" data/libreoffice-help
  rm -rf "$part"
}

fetch_images() {
  [ -d data/fashion-mnist ] && return
  step 6 "images: Fashion-MNIST from Debian's package"
  local part=data/.fashion-mnist.part
  rm -rf "$part"
  unpack_packages "$part" "$IMAGE_PACKAGE"
  mv "$part/usr/share/datasets/fashion-mnist" data/fashion-mnist
  rm -rf "$part"
}

exec 8>.setup.lock
flock 8 # a second call waits for the first, and then finds everything there
install_environment
fetch_help_pages
fetch_images
printf '[setup] ready (%ss)\n' "$SECONDS" >&2
