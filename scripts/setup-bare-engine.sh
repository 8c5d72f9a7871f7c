#!/bin/sh
# An engine with nothing on it but the base image, as on a machine that has just been set up: the machine's own version of Docker, in a
# private folder and a private network namespace, with a way out by NAT, because images are built on it.
#   sh scripts/setup-bare-engine.sh start|remove
# start prints the engine's address on stdout.
set -eu
cd "$(dirname "$0")/.."
engine_name=cofferdam-engine-bare
home=${COFFERDAM_ENGINE_BARE:-/var/lib/cofferdam-engine-bare}
engine_path=
for part in say private-engine; do
  . "scripts/lib-$part.sh"
done
test_images=debian:bookworm-slim
link=cofferdam-bare
subnet=10.213.250

# rules VERB_OF_NAT VERB_OF_FORWARD
rules() {
  iptables -w -t nat "$1" POSTROUTING -s "$subnet.0/30" -j MASQUERADE
  iptables -w "$2" FORWARD -i "$link" -j ACCEPT
  iptables -w "$2" FORWARD -o "$link" -j ACCEPT
}

open_way_out() {
  inside="nsenter --net=/run/netns/$engine_name"
  ip link add "$link" type veth peer name eth0 netns "$engine_name"
  ip addr add "$subnet.1/30" dev "$link"
  ip link set "$link" up
  $inside ip addr add "$subnet.2/30" dev eth0
  $inside ip link set eth0 up
  $inside ip route add default via "$subnet.1"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  rules -A -I
}

remove() {
  stop_engine
  rm -rf "$home"
  if ip link show "$link" >/dev/null 2>&1; then ip link del "$link"; fi
  while rules -D -D 2>/dev/null; do :; done
}

start() {
  is_root || die "An engine of its own needs root."
  have dockerd && have containerd || die "This test needs dockerd and containerd: apt-get install docker.io"
  # What a run that was killed has left.
  remove
  make_namespace
  open_way_out
  start_containerd
  start_dockerd
  load_images
}

case "${1:-}" in
  start) start && echo "unix://$socket" ;;
  remove) remove ;;
  *) die "Use: sh scripts/setup-bare-engine.sh start|remove" ;;
esac
