# Finding, installing and starting a container engine. Sourced; POSIX sh. Needs lib-say.sh and lib-apt.sh.

engine_log=/var/log/cofferdam-dockerd.log

# Whether an engine answers at DOCKER_HOST within seconds.
engine_answers() {
  have docker && timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Sets DOCKER_HOST to the first address at which an engine answers.
find_engine() {
  if [ -n "${DOCKER_HOST:-}" ]; then
    engine_answers
    return
  fi
  runtime=${XDG_RUNTIME_DIR:-/nonexistent}
  for socket in /var/run/docker.sock /run/podman/podman.sock "$runtime/docker.sock" "$runtime/podman/podman.sock"; do
    [ -S "$socket" ] || continue
    DOCKER_HOST=unix://$socket
    export DOCKER_HOST
    if engine_answers; then return 0; fi
  done
  unset DOCKER_HOST
  return 1
}

describe_engine() {
  docker version --format '{{.Server.Version}} (API {{.Server.APIVersion}})' 2>/dev/null
}

install_engine() {
  is_root || die "$(advice "No container engine answers, and only root can install one.")"
  is_debian_like || die "$(advice "No container engine answers.")"
  started=$(date +%s)
  say "No container engine answers: installing docker.io from $(os_field PRETTY_NAME)'s own packages."
  packages="docker.io iptables ca-certificates"
  # Newer releases ship the command in a package of its own.
  apt-get update -qq >/dev/null 2>&1 || true
  if apt-cache show docker-cli >/dev/null 2>&1; then packages="$packages docker-cli"; fi
  if ! runs_systemd && ! mountpoint -q /sys/fs/cgroup; then packages="$packages cgroupfs-mount"; fi
  # shellcheck disable=SC2086 # a list of words
  apt_install $packages
  say_done "$started" "docker.io is installed"
}

runs_systemd() {
  [ -d /run/systemd/system ]
}

start_engine() {
  is_root || die "The container engine is installed and does not run. Start it: sudo systemctl start docker"
  started=$(date +%s)
  if runs_systemd; then
    say "Starting the engine with systemd."
    systemctl enable --now docker >/dev/null 2>&1 || true
  else
    say "Starting the engine: dockerd, its log in $engine_log."
    if ! mountpoint -q /sys/fs/cgroup && have cgroupfs-mount; then cgroupfs-mount || true; fi
    # A session of its own, so that it outlives this terminal.
    setsid dockerd >"$engine_log" 2>&1 </dev/null &
  fi
  waited=0
  until find_engine; do
    [ "$waited" -lt 60 ] || {
      [ -r "$engine_log" ] && tail -n 15 "$engine_log" >&2
      die "The engine did not answer within 60 s. Look at $engine_log or: journalctl -u docker"
    }
    waited=$((waited + 1))
    sleep 1
  done
  say_done "$started" "it answers"
}

# What to install by hand, per distribution.
advice() {
  cat <<ADVICE
$1 Install one, start it, and run this again:
  Debian, Ubuntu:    apt-get install docker.io && systemctl enable --now docker
  Fedora:            dnf install moby-engine && systemctl enable --now docker
  RHEL, Alma, Rocky: dnf install podman podman-docker && systemctl enable --now podman.socket
  SUSE:              zypper install docker && systemctl enable --now docker
or set DOCKER_HOST to an engine that runs elsewhere. The docker command is needed, too; as another user than root, be in
its group: usermod -aG docker \$USER
ADVICE
}

ensure_engine() {
  if find_engine; then
    say "Engine: $(describe_engine) at $DOCKER_HOST"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || die "No engine answers at DOCKER_HOST=$DOCKER_HOST. Start it, or unset DOCKER_HOST."
  have dockerd && have docker || install_engine
  find_engine || start_engine
  say "Engine: $(describe_engine) at $DOCKER_HOST"
}
