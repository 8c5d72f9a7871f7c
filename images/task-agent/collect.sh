#!/bin/sh
# Puts node, its loader and its libraries into one directory that runs in any Linux image of this architecture.
# Usage: collect.sh NODE DIRECTORY
set -eu
node=$1
root=$2

mkdir -p "$root/lib"
cp "$node" "$root/node"
strip --strip-unneeded "$root/node"
ldd "$root/node" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
	cp -L "$library" "$root/lib/"
done
# The loader has another name on every architecture; ours has one.
loader=$(ldd "$root/node" | sed -n 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
cp -L "$loader" "$root/lib/ld.so"
cp /bin/busybox "$root/busybox"
"$root/lib/ld.so" --library-path "$root/lib" "$root/node" --version
