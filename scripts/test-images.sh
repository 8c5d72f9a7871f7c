#!/bin/sh
# Small images that tests run in, of Debian's packages: each lacks what the task agent must not need.
# Run by setup.sh --for test.
set -eu
cd "$(dirname "$0")/.."
for part in say apt images; do
  . "scripts/lib-$part.sh"
done

content=$({ docker image inspect --format '{{.Id}}' "$base_image"; cat images/test/*; } | sha256sum | cut -c 1-32)

# target tag
while read -r target tag; do
  # An image of that name from elsewhere is as good: tests need what the name promises.
  if [ "$tag" = busybox:latest ] && has_image "$tag" && [ -z "$(image_content "$tag")" ]; then continue; fi
  if [ "$(image_content "$tag")" = "$content" ]; then continue; fi
  started=$(date +%s)
  say "Building $tag."
  build_image "$tag" "$content" --target "$target" -f images/test/Dockerfile images/test
  say_done "$started" "built"
done <<LIST
busybox busybox:latest
musl cofferdam/test-musl:dev
user cofferdam/test-user:dev
entrypoint cofferdam/test-entrypoint:dev
no-shell cofferdam/test-no-shell:dev
no-command cofferdam/test-no-command:dev
postgres cofferdam/test-postgres:dev
network cofferdam/test-network:dev
LIST
