#!/bin/sh
# Sets up all that is missing, and says what it does and how long it took. May be run any number of times.
#   sh scripts/setup.sh [--for run|test]
# A container engine: the one that answers; else, as root on Debian or Ubuntu, the distribution's own docker.io. Packages
# from npm. Images: the base, the task agent; for tests some more. Adds no package source to the machine.
set -eu
cd "$(dirname "$0")/.."
for part in say apt engine node images registry stores; do
  . "scripts/lib-$part.sh"
done

purpose=run
while [ $# -gt 0 ]; do
  case "$1" in
    --for)
      purpose=${2:-}
      shift
      ;;
    *) die "Unknown option $1. Use: sh scripts/setup.sh [--for run|test]" ;;
  esac
  shift
done
case "$purpose" in run | test) ;; *) die "--for takes run or test, not \"$purpose\"." ;; esac

ensure_node_modules
ensure_engine
ensure_base_image
ensure_image task-agent
if [ "$purpose" = test ]; then
  have git || { is_root && is_debian_like && apt_install git; } || die "The tests need git. Install it."
  ensure_image launch-agent
  ensure_image control-plane
  ensure_registry
  sh scripts/test-images.sh
  ensure_postgres
  ensure_s3_server
  sh scripts/setup-compose.sh >/dev/null
fi
say "Set up in $(($(date +%s) - setup_started)) s."
