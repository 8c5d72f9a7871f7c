#!/bin/sh
# Fills /built: the bundles; `runtime`, a Node that runs in any Linux image; `root`, the same one as an image of its own.
set -eu
mkdir /built
if [ "$PREBUILT" = yes ]; then
  node=/prebuilt/node
  # Those that this target needs are there.
  for bundle in task-agent.cjs launch-agent control-plane cofferdam; do
    if [ -e "/prebuilt/$bundle" ]; then cp -R "/prebuilt/$bundle" /built/; fi
  done
else
  node=/node/bin/node
  cp /prebuilt/tsconfig.json .
  "$node" --disable-warning=ExperimentalWarning scripts/build.ts
  cp -R dist/. /built/
fi
root=/built/root
# Empty for builders without BuildKit, which build for their own architecture.
here=$(dpkg --print-architecture)
if [ "${TARGETARCH:-$here}" = "$here" ]; then
  "${0%/*}/collect.sh" "$node" /built/runtime
  cp /bin/busybox /built/runtime/
  # Sets the rules of a sandbox. Beside what goes into other images, which have no use for it.
  "${0%/*}/collect.sh" /usr/sbin/nft /built/sandbox
  # The loader and the libraries where Node looks for them.
  ldd "$node" | sed -n 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p; s/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r file; do
    install -D -m 0755 "$file" "$root$file"
  done
  install -D -m 0755 /built/runtime/node "$root/usr/bin/node"
else
  # The launch agent's image alone can be made so: the others run programs of their own while they are built.
  if [ "$PREBUILT" != yes ]; then node=$("${0%/*}/foreign-node.sh" "$("$node" -p process.versions.node)"); fi
  "${0%/*}/foreign.sh" "$node" "$root" "$TARGETARCH"
fi
install -d -m 1777 "$root/tmp"
install -d "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
if [ "${TARGETARCH:-$here}" = "$here" ]; then chroot "$root" /usr/bin/node --version; fi
