#!/bin/sh
# A second engine for tests beside the machine's own: Docker 26.1 of Debian trixie, in a private folder and a private
# network namespace, with the machine's own containerd and runc. Changes no package and no source of the machine.
#   sh scripts/setup-engine-26.sh start|stop|remove
# start prints nothing but progress on stderr and the engine's address on stdout:
#   COFFERDAM_TEST_ENGINE=$(sh scripts/setup-engine-26.sh start) npx vitest run --project docker
set -eu
cd "$(dirname "$0")/.."
for part in say apt images; do
  . "scripts/lib-$part.sh"
done

home=${COFFERDAM_ENGINE_26:-/var/lib/cofferdam-engine-26}
namespace=cofferdam-26
run=/run/cofferdam-engine-26
socket=$run/docker.sock
suite=trixie
test_images="debian:bookworm-slim busybox:latest cofferdam/test-musl:dev cofferdam/test-user:dev
  cofferdam/test-entrypoint:dev cofferdam/test-no-shell:dev cofferdam/task-agent:dev"

fetch_binaries() {
  [ ! -x "$home/root/usr/sbin/dockerd" ] || return 0
  started=$(date +%s)
  say "Fetching Docker 26.1 from Debian $suite." >&2
  fetch_debs "$home" "$suite" docker.io
  say_done "$started" "fetched" >&2
}

answers() {
  DOCKER_HOST=unix://$socket timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

wait_for() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || return 1
    sleep 0.2
  done
}

start() {
  is_root || die "A second engine needs root."
  if answers; then
    load_images
    return
  fi
  fetch_binaries
  started=$(date +%s)
  mkdir -p "$run" "$home/data" "$home/containerd"
  [ -e "/run/netns/$namespace" ] || ip netns add "$namespace"
  nsenter --net="/run/netns/$namespace" ip link set lo up
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$run/containerd.toml"
  setsid containerd --config "$run/containerd.toml" --root "$home/containerd" --state "$run/containerd" \
    --address "$run/containerd.sock" >"$home/containerd.log" 2>&1 </dev/null &
  echo $! >"$run/containerd.pid"
  wait_for test -S "$run/containerd.sock" || die "containerd did not start. See $home/containerd.log."
  # nsenter and not `ip netns exec`, which mounts another /sys and so hides the cgroups.
  PATH="$home/root/usr/sbin:$home/root/usr/bin:$PATH" setsid nsenter --net="/run/netns/$namespace" \
    "$home/root/usr/sbin/dockerd" --data-root "$home/data" --exec-root "$run/exec" --pidfile "$run/dockerd.pid" \
    --containerd "$run/containerd.sock" --cgroup-parent /cofferdam-26 --init-path "$(command -v docker-init)" \
    -H "unix://$socket" >"$home/dockerd.log" 2>&1 </dev/null &
  wait_for answers || die "dockerd did not start. See $home/dockerd.log."
  say_done "$started" "Docker 26.1 answers" >&2
  load_images
}

# Copies what the tests need from the machine's own engine, where it is another image there.
load_images() {
  for image in $test_images; do
    theirs=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
    ours=$(DOCKER_HOST=unix://$socket docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
    [ -n "$theirs" ] && [ "$theirs" != "$ours" ] || continue
    docker save "$image" | DOCKER_HOST=unix://$socket docker load -q >&2
  done
}

stop_process() {
  [ -r "$1" ] || return 0
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  tries=0
  while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then kill -9 "$pid" 2>/dev/null || true; fi
    sleep 0.2
  done
  rm -f "$1"
}

stop() {
  if answers; then
    running=$(DOCKER_HOST=unix://$socket docker ps -q)
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$running" ] || DOCKER_HOST=unix://$socket docker kill $running >/dev/null 2>&1 || true
  fi
  stop_process "$run/dockerd.pid"
  stop_process "$run/containerd.pid"
  if [ -e "/run/netns/$namespace" ]; then ip netns del "$namespace"; fi
  rm -rf "$run"
}

case "${1:-}" in
  start) start && echo "unix://$socket" ;;
  stop) stop ;;
  remove) stop && rm -rf "$home" ;;
  *) die "Use: sh scripts/setup-engine-26.sh start|stop|remove" ;;
esac
