#!/bin/sh
# Puts a program, its loader and its libraries into one directory that runs in any Linux image of this architecture.
# Usage: collect.sh PROGRAM DIRECTORY
set -eu
program=$1
root=$2
name=$(basename "$program")

mkdir -p "$root/lib"
cp "$program" "$root/$name"
strip --strip-unneeded "$root/$name"
ldd "$root/$name" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
	cp -L "$library" "$root/lib/"
done
# The loader has another name on every architecture; ours has one.
loader=$(ldd "$root/$name" | sed -n 's/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
cp -L "$loader" "$root/lib/ld.so"
"$root/lib/ld.so" --library-path "$root/lib" "$root/$name" --version
