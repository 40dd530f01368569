#!/bin/bash
# Copies the programs, manual pages and completions below a root directory:
#   bazel run --config=release //packaging:install -- DIRECTORY
set -euo pipefail
[[ $# == 1 && $1 == /* ]] || {
  echo "usage: bazel run --config=release //packaging:install -- DIRECTORY" >&2
  echo "DIRECTORY is absolute; / installs on this machine" >&2
  exit 64
}
root=${1%/}
count=0
while read -r mode destination source; do
  # bash looks for the completion of a program under the program's name.
  [[ $destination != */bash-completion/* ]] || destination=${destination%.bash}
  install -D -m "$mode" "$source" "$root/$destination"
  count=$((count + 1))
done <packaging/files
echo "$count files installed below ${root:-/}"
