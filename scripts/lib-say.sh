# How the setup talks: one line when a step begins that takes time, one when it is done with how long it took.
# Sourced; POSIX sh.

setup_started=$(date +%s)

# What commands say, for when they fail: in the checkout, which is the caller's own. In /tmp anybody could have put a link in
# a file's place, for root to write through.
logs=$PWD/dist/logs
mkdir -p "$logs"

say() {
  printf '%s\n' "$*"
}

# say_done STARTED WORDS…: STARTED is what `date +%s` said before.
say_done() {
  started=$1
  shift
  say "  $* ($(($(date +%s) - started)) s)"
}

# die WORDS…: what is wrong and what to do next.
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 3
}

have() {
  command -v "$1" >/dev/null 2>&1
}

is_root() {
  [ "$(id -u)" = 0 ]
}

# in_log FILE COMMAND…: quiet while it works; its last words where it does not.
in_log() {
  log=$1
  shift
  "$@" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    return 1
  }
}
