#!/bin/bash
# Fails when clang-format would change a source. Release 14 decides, because
# releases differ in detail.
set -euo pipefail
tool=clang-format-14
command -v "$tool" >/dev/null || {
  echo "$tool is not installed: apt-get install $tool" >&2
  exit 1
}
root=$(dirname "$(readlink -f WORKSPACE)")
cd "$root"
mapfile -d '' -t files < <(find . \( -name '.?*' -o -name 'bazel-*' \) -prune \
  -o \( -name '*.cc' -o -name '*.h' \) -type f -print0)
((${#files[@]} > 0)) || {
  echo "no sources below $root" >&2
  exit 1
}
echo "${#files[@]} files"
"$tool" --dry-run -Werror "${files[@]}"
