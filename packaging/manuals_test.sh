#!/bin/bash
# Fails when mandoc has something to say about a manual page.
set -euo pipefail
command -v mandoc >/dev/null || {
  echo "mandoc is not installed: apt-get install mandoc" >&2
  exit 1
}
mapfile -t pages < <(find -L . -name '*.[158]')
((${#pages[@]} > 0)) || {
  echo "there are no manual pages" >&2
  exit 1
}
printf '%s\n' "${pages[@]}"
mandoc -T lint -W warning "${pages[@]}"
