#!/bin/bash
# Fails when shellcheck has something to say about a script.
set -euo pipefail
command -v shellcheck >/dev/null || {
  echo "shellcheck is not installed: apt-get install shellcheck" >&2
  exit 1
}
cd "$(dirname "$(readlink -f WORKSPACE)")"
mapfile -d '' -t files < <(find . -name 'bazel-*' -prune -o -name .git -prune \
  -o -type f \( -perm -u+x -o -name '*.sh' \) -print0 |
  xargs -0 grep -lZE -m1 '^#!/bin/(ba)?sh')
((${#files[@]} > 0)) || {
  echo "no scripts found" >&2
  exit 1
}
echo "${files[*]}"
# -x: with the files that scripts take in.
shellcheck -x "${files[@]}"
