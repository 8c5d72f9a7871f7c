#!/bin/sh
# The engines that the fault tests do harm to: the machine's own version of Docker, each in a private folder and a private network
# namespace, without a way out. NAME tells them apart.
#   sh scripts/setup-fault-engine.sh NAME start|stop|remove
#   sh scripts/setup-fault-engine.sh NAME containerd|dockerd [FLAGS…]      starts that one again, after it was killed
# start prints the engine's address on stdout; the pids are in dockerd.pid and containerd.pid beside its socket.
set -eu
cd "$(dirname "$0")/.."
usage="Use: sh scripts/setup-fault-engine.sh NAME start|containerd|dockerd|stop|remove"
name=${1:-}
word=${2:-}
[ $# -lt 2 ] || shift 2
engine_name=cofferdam-faults-$name
home=/var/lib/$engine_name
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

case "$name" in "" | *[!a-z]*) die "$usage" ;; esac
case "$word" in
  start) start && echo "unix://$socket" ;;
  containerd) start_containerd ;;
  dockerd) start_dockerd "$@" ;;
  stop) stop_engine ;;
  remove) stop_engine && rm -rf "$home" ;;
  *) die "$usage" ;;
esac
