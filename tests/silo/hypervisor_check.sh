#!/bin/bash
# Boots silos under hypervisors that the distribution does not package, in a lab
# machine, and does with them what silo_test does under QEMU:
#
#   bazel run //tests/silo:hypervisor_check -- \
#     --crosvm PATH --cloud-hypervisor PATH [--virtiofsd PATH]
#
# Each hypervisor that is named is checked, one after the other, a quarter of an
# hour each; with virtiofsd (the one in Rust) a shared directory, too.
# GTEST_FILTER selects cases.
#
# crosvm: cargo build --release --no-default-features \
#           --features audio,balloon,usb,net,qcow
# Cloud Hypervisor: its release's cloud-hypervisor, or cargo build --release.
set -euo pipefail

usage() {
  echo "hypervisor_check: $1; see the head of tests/silo/hypervisor_check.sh" >&2
  exit 64
}

names=() programs=()
unset LAB_VIRTIOFSD
while (($#)); do
  (($# > 1)) || usage "$1 needs a path"
  program=$(realpath -e "${BUILD_WORKING_DIRECTORY:-.}/$2" 2>/dev/null ||
    realpath -e "$2") || usage "no program $2"
  case $1 in
    --crosvm | --cloud-hypervisor)
      names+=("${1#--}")
      programs+=("$program")
      ;;
    --virtiofsd) export LAB_VIRTIOFSD=$program ;;
    *) usage "unknown option $1" ;;
  esac
  shift 2
done
((${#names[@]})) || usage "no hypervisor"

if [[ -z ${LAB_VIRTIOFSD-} ]]; then
  # What follows the first minus is left out.
  GTEST_FILTER=${GTEST_FILTER:-*}
  [[ $GTEST_FILTER == *-* ]] || GTEST_FILTER+=:-
  export GTEST_FILTER+=:SiloTest.AShareIsTheHostsDirectory
fi
failed=()
for i in "${!names[@]}"; do
  echo "hypervisor_check: ${names[i]} (${programs[i]})"
  export LAB_HYPERVISOR=${names[i]} LAB_HYPERVISOR_PROGRAM=${programs[i]}
  tests/lab/lab machine --timeout=5400 -- tests/silo/silo_checks ||
    failed+=("${names[i]}")
done
((!${#failed[@]})) || {
  echo "hypervisor_check: failed: ${failed[*]}" >&2
  exit 1
}
