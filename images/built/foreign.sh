#!/bin/sh
# A Node of another architecture than this builder's, with its loader and its libraries, as an image of its own. Nothing of it is run.
# Usage: foreign.sh NODE DIRECTORY ARCHITECTURE (in Debian's words: arm64)
set -eu
node=$1
root=$2
architecture=$3

libraries=$(mktemp -d)
dpkg --add-architecture "$architecture"
apt-get update -qq
(cd "$libraries" && apt-get download -qq -o APT::Sandbox::User=root \
  "libc6:$architecture" "libstdc++6:$architecture" "libgcc-s1:$architecture" "libatomic1:$architecture")
for package in "$libraries"/*.deb; do dpkg-deb -x "$package" "$libraries"; done

# collect FILE: what it needs, from the packages, to where the loader looks; then what that needs.
collect() {
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | while read -r name; do
    found=$(find "$libraries" -name "$name" | head -n 1)
    if [ -z "$found" ]; then
      echo "no package for $architecture brings $name, which $1 needs" >&2
      exit 1
    fi
    to=$root/lib/$(basename "$(dirname "$found")")/$name
    if [ -e "$to" ]; then continue; fi
    install -D -m 0755 "$found" "$to"
    collect "$to"
  done
}
loader=$(readelf -p .interp "$node" | sed -n 's/.*\(\/lib[^ ]*\).*/\1/p')
collect "$node"
install -D -m 0755 "$(find "$libraries" -name "$(basename "$loader")" | head -n 1)" "$root$loader"
install -D -m 0755 "$node" "$root/usr/bin/node"
