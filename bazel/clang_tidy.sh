#!/bin/bash
# clang_tidy.sh REPORT CONFIGURATION SOURCE FLAG…: fails when clang-tidy has
# something to say about SOURCE.
set -euo pipefail
report=$1 configuration=$2 source=$3
shift 3
for tool in clang-tidy-14 clang-tidy; do
  command -v "$tool" >/dev/null && break
done
command -v "$tool" >/dev/null || {
  echo "clang-tidy is not installed: apt-get install clang-tidy-14" >&2
  exit 1
}
if ! "$tool" --quiet --config-file="$configuration" "$source" -- "$@" \
  >"$report" 2>/dev/null; then
  cat "$report" >&2
  exit 1
fi
