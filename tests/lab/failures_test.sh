#!/bin/bash
# failures_test.sh LAB: what a lab does when its program does not pass.
set -euo pipefail
lab=$1
TMPDIR=$(mktemp -d)
export TMPDIR

expect() {
  local want=$1 status=0
  shift
  output=$("$lab" container "$@" 2>&1) || status=$?
  if ((status != want)); then
    echo "$*: exit status $status instead of $want: $output"
    exit 1
  fi
}

# The program's own status comes out, and what it printed.
expect 7 -- /bin/sh -c 'echo some words; echo others >&2; exit 7'
[[ $output == *$'some words\nothers'* ]]
expect 137 -- /bin/sh -c 'kill -9 $$'

# A program that hangs, and one that ends its lab.
expect 75 --timeout=2 -- /bin/sleep 1000
[[ $output == *"no result within 2s"* ]]
expect 69 -- /bin/sh -c 'systemctl poweroff --force --force; sleep 1000'
[[ $output == *"ended without a result"* ]]
expect 64

# Nothing of it is left: no file outside, no directory, no mount, no process.
expect 0 -- /bin/sh -c 'echo changed >/etc/lab-was-here'
[[ ! -e /etc/lab-was-here ]]
if [[ -n $(ls -A "$TMPDIR") ]]; then
  echo "directories are left"
  exit 1
fi
if grep -q "$TMPDIR" /proc/self/mounts; then
  echo "mounts are left"
  exit 1
fi
rmdir "$TMPDIR"
