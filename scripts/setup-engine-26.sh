#!/bin/sh
# A second engine for tests beside the machine's own: Docker 26.1 of Debian trixie, in a private folder and a private
# network namespace, with the machine's own containerd and runc. Changes no package and no source of the machine.
#   sh scripts/setup-engine-26.sh start|stop|remove
# start prints nothing but progress on stderr and the engine's address on stdout:
#   COFFERDAM_TEST_ENGINE=$(sh scripts/setup-engine-26.sh start) npx vitest run --project docker
set -eu
cd "$(dirname "$0")/.."
engine_name=cofferdam-engine-26
home=${COFFERDAM_ENGINE_26:-/var/lib/cofferdam-engine-26}
engine_path=$home/root/usr/sbin:$home/root/usr/bin
suite=trixie
for part in say apt private-engine; do
  . "scripts/lib-$part.sh"
done

fetch_binaries() {
  [ ! -x "$home/root/usr/sbin/dockerd" ] || return 0
  started=$(date +%s)
  say "Fetching Docker 26.1 from Debian $suite." >&2
  fetch_debs "$home" "$suite" docker.io
  say_done "$started" "fetched" >&2
}

start() {
  is_root || die "A second engine needs root."
  if ! answers; then
    fetch_binaries
    started=$(date +%s)
    make_namespace
    start_containerd
    start_dockerd
    say_done "$started" "Docker 26.1 answers" >&2
  fi
  load_images
}

case "${1:-}" in
  start) start && echo "unix://$socket" ;;
  stop) stop_engine ;;
  remove) stop_engine && rm -rf "$home" ;;
  *) die "Use: sh scripts/setup-engine-26.sh start|stop|remove" ;;
esac
