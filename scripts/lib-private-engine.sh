# An engine for tests beside the machine's own: containerd and dockerd of their own, in a private folder and a private
# network namespace, with the machine's runc. Sourced; POSIX sh. Needs lib-say.sh. The caller sets:
#   engine_name   of its namespace, its cgroup and its folder under /run
#   home          where its data lives
#   engine_path   where its dockerd is found; empty: on the PATH

run=/run/$engine_name
socket=$run/docker.sock
test_images="debian:bookworm-slim busybox:latest cofferdam/test-network:dev cofferdam/test-musl:dev cofferdam/test-user:dev
  cofferdam/test-entrypoint:dev cofferdam/test-no-shell:dev cofferdam/test-no-command:dev cofferdam/task-agent:dev"

answers() {
  DOCKER_HOST=unix://$socket timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

wait_for() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || return 1
    sleep 0.1
  done
}

make_namespace() {
  mkdir -p "$run" "$home/data" "$home/containerd"
  [ -e "/run/netns/$engine_name" ] || ip netns add "$engine_name"
  nsenter --net="/run/netns/$engine_name" ip link set lo up
}

# In the namespace, too: newer engines give containers on the network of the host that of containerd.
start_containerd() {
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$run/containerd.toml"
  rm -f "$run/containerd.sock"
  setsid nsenter --net="/run/netns/$engine_name" containerd --config "$run/containerd.toml" --root "$home/containerd" --state "$run/containerd" \
    --address "$run/containerd.sock" >>"$home/containerd.log" 2>&1 </dev/null &
  echo $! >"$run/containerd.pid"
  wait_for test -S "$run/containerd.sock" || die "containerd did not start. See $home/containerd.log."
}

# start_dockerd FLAGS…
start_dockerd() {
  # A dockerd that was killed has left them, and the next one takes them for signs of life.
  rm -f "$socket" "$run/dockerd.pid"
  # nsenter and not `ip netns exec`, which mounts another /sys and so hides the cgroups.
  PATH="${engine_path:+$engine_path:}$PATH" setsid nsenter --net="/run/netns/$engine_name" \
    dockerd --data-root "$home/data" --exec-root "$run/exec" --pidfile "$run/dockerd.pid" \
    --containerd "$run/containerd.sock" --cgroup-parent "/$engine_name" --init-path "$(command -v docker-init)" \
    -H "unix://$socket" "$@" >>"$home/dockerd.log" 2>&1 </dev/null &
  wait_for answers || die "dockerd did not start. See $home/dockerd.log."
}

# Copies what the tests need from the machine's own engine, where it is another image there.
load_images() {
  for image in $test_images; do
    theirs=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
    ours=$(DOCKER_HOST=unix://$socket docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
    [ -n "$theirs" ] && [ "$theirs" != "$ours" ] || continue
    copy_image "$image"
  done
}

# Docker 20.10 now and then says that it has no such image, while others come and go.
copy_image() {
  for _ in 1 2 3; do
    if docker save "$1" | DOCKER_HOST=unix://$socket docker load -q >&2; then return; fi
    sleep 1
  done
  die "The image $1 could not be copied from the machine's own engine."
}

# A process that nobody has fetched yet is dead all the same.
is_alive() {
  [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null
}

stop_process() {
  [ -r "$1" ] || return 0
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  tries=0
  while is_alive "$pid"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then kill -9 "$pid" 2>/dev/null || true; fi
    sleep 0.2
  done
  rm -f "$1"
}

stop_engine() {
  if answers; then
    running=$(DOCKER_HOST=unix://$socket docker ps -q)
    # shellcheck disable=SC2086 # a list of ids
    [ -z "$running" ] || DOCKER_HOST=unix://$socket docker kill $running >/dev/null 2>&1 || true
  fi
  stop_process "$run/dockerd.pid"
  stop_process "$run/containerd.pid"
  # A daemon that was killed leaves mounts in both.
  awk -v run="$run/" -v home="$home/" 'index($2, run) == 1 || index($2, home) == 1 { print $2 }' /proc/mounts | while read -r mounted; do
    umount -l "$mounted"
  done
  if [ -e "/run/netns/$engine_name" ]; then ip netns del "$engine_name"; fi
  rm -rf "$run"
}
