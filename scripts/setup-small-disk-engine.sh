#!/bin/sh
# An engine for tests on a disk of its own, of 2 GiB: a file, mounted. Like the fault tests' engine otherwise.
#   sh scripts/setup-small-disk-engine.sh start|stop|remove
# start prints the engine's address on stdout; its data are in $COFFERDAM_ENGINE_SMALL_DISK/disk/data.
set -eu
cd "$(dirname "$0")/.."
engine_name=cofferdam-engine-small
base=${COFFERDAM_ENGINE_SMALL_DISK:-/var/lib/cofferdam-engine-small}
home=$base/disk
engine_path=
for part in say private-engine; do
  . "scripts/lib-$part.sh"
done
test_images="busybox:latest cofferdam/task-agent:dev"

mount_disk() {
  if mountpoint -q "$home"; then return; fi
  mkdir -p "$home"
  if [ ! -s "$base/disk.img" ]; then
    truncate -s 2G "$base/disk.img"
    mkfs.ext4 -q -F -m 0 "$base/disk.img"
  fi
  mount -o loop "$base/disk.img" "$home"
}

start() {
  is_root || die "An engine of its own needs root."
  have dockerd && have containerd || die "This test needs dockerd and containerd: apt-get install docker.io"
  if ! answers; then
    mount_disk
    make_namespace
    start_containerd
    start_dockerd
  fi
  load_images
}

stop() {
  stop_engine
  if mountpoint -q "$home"; then umount "$home"; fi
}

case "${1:-}" in
  start) start && echo "unix://$socket" ;;
  stop) stop ;;
  remove) stop && rm -rf "$base" ;;
  *) die "Use: sh scripts/setup-small-disk-engine.sh start|stop|remove" ;;
esac
