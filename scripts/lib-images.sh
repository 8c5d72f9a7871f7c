# The images that Cofferdam needs. Sourced; POSIX sh. Needs lib-say.sh, lib-apt.sh, and an engine in DOCKER_HOST.

base_image=debian:bookworm-slim
content_label=dev.cofferdam.content
# Within which a registry has to say that it has the image; the download may take as long as it takes.
registry_seconds=8

has_image() {
  docker image inspect "$1" >/dev/null 2>&1
}

# Pulled; where no registry answers within seconds, made of Debian's packages under the same name.
ensure_base_image() {
  if has_image "$base_image"; then return; fi
  started=$(date +%s)
  say "Pulling $base_image."
  if pull_base_image; then
    say_done "$started" "pulled"
    return
  fi
  started=$(date +%s)
  say "No registry gave it within $registry_seconds s: making $base_image from Debian's packages instead."
  is_root && is_debian_like || die "Making $base_image needs root on Debian or Ubuntu. Load it by hand: docker load -i FILE"
  have mmdebstrap || apt_install mmdebstrap
  make_base_image || die "mmdebstrap could not make $base_image. See $logs/base.log."
  say_done "$started" "made"
}

pull_base_image() {
  log="$logs/pull.log"
  docker pull "$base_image" >"$log" 2>&1 &
  pulling=$!
  waited=0
  while kill -0 "$pulling" 2>/dev/null && ! grep -q 'Pulling from' "$log"; do
    if [ "$waited" -ge "$registry_seconds" ]; then kill "$pulling" 2>/dev/null || true; fi
    waited=$((waited + 1))
    sleep 1
  done
  wait "$pulling"
}

make_base_image() {
  work=$(mktemp -d)
  debian_sources bookworm >"$work/sources.list"
  # As the public one: nothing of an image has to survive a crash while it is made.
  set -- --variant=minbase --mode=root --dpkgopt=force-unsafe-io
  for unneeded in /usr/share/man /usr/share/info /usr/share/locale /usr/share/doc; do
    set -- "$@" "--dpkgopt=path-exclude=$unneeded/*"
  done
  set -- "$@" --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*.log' \
    bookworm "$work/base.tar"
  # Without sources of its own (Ubuntu) the machine leaves the choice to mmdebstrap.
  if [ -s "$work/sources.list" ]; then set -- "$@" "$work/sources.list"; fi
  in_log "$logs/base.log" mmdebstrap "$@" &&
    docker import --change 'CMD ["bash"]' "$work/base.tar" "$base_image" >/dev/null
  result=$?
  rm -rf "$work"
  return "$result"
}

# ensure_image NAME: cofferdam/NAME:dev, a target of the Dockerfile, of the bundles as they are in the checkout.
ensure_image() {
  name=$1
  bundles=$name
  # The command line is in it as well.
  if [ "$name" = control-plane ]; then bundles="$name cofferdam"; fi
  # shellcheck disable=SC2086 # a list of words
  in_log "$logs/build.log" node_modules/node/bin/node --disable-warning=ExperimentalWarning scripts/build.ts $bundles ||
    die "The bundle of $name does not build. See $logs/build.log."
  cmp -s node_modules/node/bin/node dist/node || cp -L node_modules/node/bin/node dist/node
  content=$(content_of "$name" "$bundles")
  if [ "$(image_content "cofferdam/$name:dev")" = "$content" ]; then return; fi
  started=$(date +%s)
  say "Building cofferdam/$name:dev."
  build_image "cofferdam/$name:dev" "$content" --build-arg PREBUILT=yes --target "$name" .
  say_done "$started" "built"
}

# content_of NAME BUNDLES: everything that the image is made of, as one hash.
content_of() {
  {
    docker image inspect --format '{{.Id}}' "$base_image"
    # shellcheck disable=SC2046 # a list of words
    find Dockerfile .dockerignore images/built "images/$1" docs/examples/pipeline dist/node \
      $(for bundle in $2; do ls -d "dist/$bundle" "dist/$bundle.cjs"; done 2>/dev/null) -type f 2>/dev/null |
      LC_ALL=C sort | xargs sha256sum
  } | sha256sum | cut -c 1-32
}

image_content() {
  docker image inspect --format "{{index .Config.Labels \"$content_label\"}}" "$1" 2>/dev/null || true
}

# build_image TAG CONTENT ARGUMENTS…: the image that it replaces goes, so that builds do not pile up.
build_image() {
  tag=$1
  hash=$2
  shift 2
  old=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null || true)
  in_log "$logs/build.log" docker build --label "$content_label=$hash" -t "$tag" "$@" ||
    die "The image $tag does not build. See $logs/build.log."
  new=$(docker image inspect --format '{{.Id}}' "$tag")
  if [ -n "$old" ] && [ "$old" != "$new" ]; then
    drop_shared_volumes "$old"
    # In use by a container: then it stays until that is gone.
    docker rmi "$old" >/dev/null 2>&1 || true
  fi
}

# Shared volumes made of an image that is replaced, and the containers of the same names that say they are whole. What a
# task still uses stays.
drop_shared_volumes() {
  docker ps -a --filter "ancestor=$1" --filter label=dev.cofferdam.role=shared --format '{{.Names}}' |
    while read -r name; do
      if docker rm "$name" >/dev/null 2>&1; then docker volume rm "$name" >/dev/null 2>&1 || true; fi
    done
}
