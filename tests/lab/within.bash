# shellcheck shell=bash
# For the shell programs of labs.

# What to listen to besides the system's manager: arguments of events.
event_sources=()

# within SECONDS COMMAND…: whether the command succeeds in time. It is tried again
# whenever something has changed.
within() {
  local deadline=$((SECONDS + $1)) left events is_true=1
  shift
  exec {events}< <(exec tests/lab/events "${event_sources[@]}")
  while ((left = deadline - SECONDS, left > 0)) &&
    read -r -t "$left" -u "$events"; do
    if "$@"; then
      is_true=0
      break
    fi
  done
  exec {events}<&-
  return $is_true
}
