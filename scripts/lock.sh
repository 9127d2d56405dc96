#!/usr/bin/env bash
# Rebuilds scripts/lock/: every version that scripts/setup.sh installs, each with the hashes of its files, so that pip
# refuses any other (--require-hashes).
#
#   bash scripts/lock.sh                   after a change of pyproject.toml: what is locked keeps its version where it can
#   bash scripts/lock.sh --upgrade         the newest versions that pyproject.toml allows
#   bash scripts/lock.sh --upgrade NAME    the newest of one package
#
# It asks the package index and changes nothing but scripts/lock/*.txt: environment.txt is everything but DALI, which
# has a file for each release of CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'error: %s\n' "$1" >&2; exit 2; }

case $#:${1-} in
  0:) UPGRADE=() ;;
  1:--upgrade) UPGRADE=(--upgrade) ;;
  2:--upgrade) UPGRADE=(--upgrade-package "$2") ;;
  *) fail "unknown options $*; choose --upgrade, --upgrade NAME or nothing" ;;
esac
readonly UV=.venv/bin/uv
[ -x $UV ] || fail "$UV is not here; bash scripts/setup.sh installs it"

NEW=$(mktemp -d)
trap 'rm -rf "$NEW"' EXIT
cp scripts/lock/*.txt "$NEW" # uv keeps the versions that it finds in its output file

compile() { # NAME OPTION...: resolved for Python 3.11; the hashes are of every file of a version, those of 3.12 among them
  local name=$1
  shift
  printf '[lock] %s\n' "$name" >&2
  $UV pip compile --quiet pyproject.toml --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --generate-hashes --no-annotate --custom-compile-command 'bash scripts/lock.sh' "${UPGRADE[@]}" "$@" \
    --output-file "$NEW/$name.txt"
}

compile environment --extra nmt --extra vision --extra tracking --extra cluster --extra dev --group setup
for cuda in 120 130; do
  compile "dali-cuda$cuda" --extra "dali-cuda$cuda" --constraints "$NEW/environment.txt" \
    $(sed -n 's/^\([A-Za-z0-9_.-]*\)==.*/--no-emit-package \1/p' "$NEW/environment.txt")
done
mv "$NEW"/*.txt scripts/lock/
