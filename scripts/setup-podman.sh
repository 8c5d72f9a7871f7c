#!/bin/sh
# Podman for tests beside the machine's own engine: Debian bookworm's, in a private folder and a private network namespace, with the
# machine's runc. Changes no package and no source of the machine, and starts no unit.
#   sh scripts/setup-podman.sh start|stop|remove
# start prints nothing but progress on stderr and the socket's address on stdout:
#   COFFERDAM_TEST_ENGINE=$(sh scripts/setup-podman.sh start) npx vitest run --project podman
set -eu
cd "$(dirname "$0")/.."
engine_name=cofferdam-podman
home=${COFFERDAM_PODMAN:-/var/lib/cofferdam-podman}
engine_path=$home/root/usr/bin
libraries=$home/root/usr/lib/$(uname -m)-linux-gnu:$home/root/lib/$(uname -m)-linux-gnu
suite=bookworm
for part in say apt private-engine; do
  . "scripts/lib-$part.sh"
done
socket=$run/podman.sock
test_images="debian:bookworm-slim busybox:latest cofferdam/task-agent:dev"

fetch_binaries() {
  [ ! -x "$engine_path/podman" ] || return 0
  started=$(date +%s)
  say "Fetching Podman from Debian $suite." >&2
  # With the libraries that a machine without Podman has no need of.
  fetch_debs "$home" "$suite" podman conmon netavark catatonit golang-github-containers-common golang-github-containers-image \
    libglib2.0-0 libgpgme11 libassuan0 libgpg-error0 libsubid4 libdevmapper1.02.1
  say_done "$started" "fetched" >&2
}

podman_environment() {
  cat <<ENVIRONMENT
HOME=$home
PATH=$engine_path:$PATH
LD_LIBRARY_PATH=$libraries
TMPDIR=$run/tmp
CONTAINERS_CONF=$home/config/containers.conf
CONTAINERS_STORAGE_CONF=$home/config/storage.conf
CONTAINERS_REGISTRIES_CONF=$home/config/registries.conf
ENVIRONMENT
}

write_configuration() {
  mkdir -p "$home/.config/containers" "$home/config" "$run/tmp"
  cp "$home/root/etc/containers/policy.json" "$home/.config/containers/"
  : >"$home/config/registries.conf"
  cat >"$home/config/containers.conf" <<CONF
[containers]
seccomp_profile = "$home/root/usr/share/containers/seccomp.json"
[engine]
init_path = "$home/root/usr/bin/catatonit"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
# What follows a container tidies up behind it with a Podman that has only these.
conmon_env_vars = [$(podman_environment | sed 's/.*/"&",/')]
conmon_path = ["$engine_path/conmon"]
helper_binaries_dir = ["$home/root/usr/lib/podman"]
[engine.runtimes]
runc = ["$(command -v runc)"]
[network]
network_backend = "netavark"
network_config_dir = "$home/networks"
CONF
  cat >"$home/config/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$home/storage"
runroot = "$run/storage"
CONF
}

start_podman() {
  stop_process "$run/podman.pid"
  rm -f "$socket"
  # In its own folder: conmon says of memory that ran out by a file where the service was started.
  # shellcheck disable=SC2046 # a list of words
  (cd "$run" && exec setsid nsenter --net="/run/netns/$engine_name" env $(podman_environment) "$engine_path/podman" --tmpdir "$run/libpod" \
    system service --time 0 "unix://$socket") >>"$home/podman.log" 2>&1 </dev/null &
  echo $! >"$run/podman.pid"
  wait_for answers || die "Podman did not start. See $home/podman.log."
}

# Under the names that everybody else has for them: what is loaded Podman calls localhost/…. What they replace goes.
name_images() {
  for image in $test_images; do
    case "$image" in
      */*) full=docker.io/$image ;;
      *) full=docker.io/library/$image ;;
    esac
    if DOCKER_HOST=unix://$socket docker image inspect "localhost/$image" >/dev/null 2>&1; then
      DOCKER_HOST=unix://$socket docker tag "localhost/$image" "$full"
      DOCKER_HOST=unix://$socket docker rmi "localhost/$image" >/dev/null
    fi
  done
  DOCKER_HOST=unix://$socket docker image prune -f >/dev/null
}

stop() {
  if answers; then
    # shellcheck disable=SC2046 # a list of ids
    DOCKER_HOST=unix://$socket docker rm -f $(DOCKER_HOST=unix://$socket docker ps -aq) >/dev/null 2>&1 || true
  fi
  stop_process "$run/podman.pid"
  if mountpoint -q "$home/storage/overlay"; then umount "$home/storage/overlay"; fi
  stop_engine
}

start() {
  is_root || die "A Podman beside the machine's engine needs root."
  have runc || die "Podman needs runc here: apt-get install runc"
  fetch_binaries
  if ! answers; then
    started=$(date +%s)
    make_namespace
    write_configuration
    start_podman
    say_done "$started" "Podman answers" >&2
  fi
  load_images
  name_images
}

case "${1:-}" in
  start) start && echo "unix://$socket" ;;
  stop) stop ;;
  remove) stop && rm -rf "$home" ;;
  *) die "Use: sh scripts/setup-podman.sh start|stop|remove" ;;
esac
