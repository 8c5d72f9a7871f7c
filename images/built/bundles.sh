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
  node=$PWD/node_modules/node/bin/node
  cp /prebuilt/tsconfig.json .
  "$node" --disable-warning=ExperimentalWarning scripts/build.ts
  cp -R dist/. /built/
fi
"${0%/*}/collect.sh" "$node" /built/runtime
cp /bin/busybox /built/runtime/
# Sets the rules of a sandbox. Beside what goes into other images, which have no use for it.
"${0%/*}/collect.sh" /usr/sbin/nft /built/sandbox

# The loader and the libraries where Node looks for them.
root=/built/root
ldd "$node" | sed -n 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p; s/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r file; do
  install -D -m 0755 "$file" "$root$file"
done
install -D -m 0755 /built/runtime/node "$root/usr/bin/node"
install -d -m 1777 "$root/tmp"
install -d "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
chroot "$root" /usr/bin/node --version
