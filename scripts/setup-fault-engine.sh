#!/bin/sh
# The engine that the fault tests kill: the machine's own version of Docker, in a private folder and a private network
# namespace, without a way out.
#   sh scripts/setup-fault-engine.sh start|stop|remove
#   sh scripts/setup-fault-engine.sh containerd|dockerd [FLAGS…]      starts that one again, after it was killed
# start prints the engine's address on stdout; the pids are in dockerd.pid and containerd.pid beside its socket.
set -eu
cd "$(dirname "$0")/.."
engine_name=cofferdam-engine-faults
home=${COFFERDAM_ENGINE_FAULTS:-/var/lib/cofferdam-engine-faults}
engine_path=
for part in say private-engine; do
  . "scripts/lib-$part.sh"
done

start() {
  is_root || die "An engine of its own needs root."
  have dockerd && have containerd || die "The fault tests need dockerd and containerd: apt-get install docker.io"
  if ! answers; then
    # What a run that was killed has left.
    stop_process "$run/dockerd.pid"
    stop_process "$run/containerd.pid"
    make_namespace
    start_containerd
    start_dockerd
  fi
  load_images
}

word=${1:-}
[ $# -eq 0 ] || shift
case "$word" in
  start) start && echo "unix://$socket" ;;
  containerd) start_containerd ;;
  dockerd) start_dockerd "$@" ;;
  stop) stop_engine ;;
  remove) stop_engine && rm -rf "$home" ;;
  *) die "Use: sh scripts/setup-fault-engine.sh start|containerd|dockerd|stop|remove" ;;
esac
