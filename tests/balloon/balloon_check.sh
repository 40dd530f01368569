#!/bin/bash
# The memory daemon with four real guests on a host that is too small for them,
# in a lab machine; with --compare the same without a daemon, and with
# ChromeOS's rule in the daemon:
#
#   bazel run //tests/balloon:balloon_check -- [--compare]
#
# Not a test: what an emulated processor virtualises does not always outlast so
# much load, and then a guest resets or the whole machine does. Ten minutes a run. GTEST_FILTER selects cases.
set -euo pipefail

check() {
  tests/lab/lab machine --memory=1536 --timeout=1800 -- \
    tests/balloon/balloon_checks
}

case $*: in
  :) check ;;
  --compare:)
    echo 'balloon_check: vmsilo-balloond' >&2
    check || true
    for other in tests/balloon/chromeos_balloond none; do
      echo "balloon_check: $other; failures are what is to be seen" >&2
      LAB_BALLOOND=$other check || true
    done
    ;;
  *)
    echo "balloon_check: expected nothing or --compare, not '$*'" >&2
    exit 64
    ;;
esac
