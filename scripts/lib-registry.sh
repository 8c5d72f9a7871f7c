# A registry for the tests: Debian's docker-registry, unpacked and not installed, so that no service of it starts. Sourced; POSIX sh.
# Needs lib-say.sh and lib-apt.sh.

registry_home=/var/lib/cofferdam-registry

ensure_registry() {
  if have docker-registry || [ -x "$registry_home/usr/bin/docker-registry" ]; then return; fi
  is_root && is_debian_like || die "The tests need a registry. Install docker-registry (distribution/registry 2.8 or newer)."
  started=$(date +%s)
  say "Fetching a registry for the tests: docker-registry from $(os_field PRETTY_NAME)'s own packages."
  debs=$(mktemp -d)
  (
    cd "$debs"
    apt-get download -qq docker-registry >/dev/null 2>&1 || {
      apt-get update -qq >/dev/null 2>&1 || true
      in_log "$logs/apt.log" apt-get download -qq docker-registry
    }
  ) || die "apt could not fetch docker-registry. See $logs/apt.log."
  mkdir -p "$registry_home"
  dpkg-deb -x "$debs"/docker-registry_*.deb "$registry_home"
  rm -rf "$debs"
  say_done "$started" "fetched"
}
