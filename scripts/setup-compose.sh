#!/bin/sh
# Docker Compose v2 for people and tests whose docker has none: Debian trixie's docker-compose, in a private folder. Changes no
# package and no source of the machine.
#   sh scripts/setup-compose.sh
# Prints progress on stderr, and on stdout the command that works: `docker compose`, or a DOCKER_CONFIG before it.
set -eu
cd "$(dirname "$0")/.."
for part in say apt; do
  . "scripts/lib-$part.sh"
done

home=${COFFERDAM_COMPOSE:-/var/lib/cofferdam-compose}
suite=trixie

has_compose() {
  docker compose version >/dev/null 2>&1
}

fetch_plugin() {
  started=$(date +%s)
  say "Fetching Docker Compose 2 from Debian $suite." >&2
  is_root && is_debian_like || die "This docker has no compose. Install the distribution's docker-compose-v2 or docker-compose-plugin."
  fetch_debs "$home" "$suite" docker-compose
  plugin=$(find "$home/root" -name docker-compose -path '*cli-plugins*' | head -n 1)
  [ -x "$plugin" ] || die "docker-compose of $suite brings no plugin of the docker command."
  mkdir -p "$home/config/cli-plugins"
  ln -sf "$plugin" "$home/config/cli-plugins/docker-compose"
  say_done "$started" "fetched" >&2
}

if has_compose; then
  echo "docker compose"
  exit 0
fi
[ -x "$home/config/cli-plugins/docker-compose" ] || fetch_plugin
DOCKER_CONFIG=$home/config
export DOCKER_CONFIG
has_compose || die "The docker command does not take the plugin in $DOCKER_CONFIG."
echo "env DOCKER_CONFIG=$DOCKER_CONFIG docker compose"
