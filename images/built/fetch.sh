#!/bin/sh
# Unpacks a package of npm's registry, without npm: fetch.sh NAME VERSION DIRECTORY
set -eu
registry=${NPM_CONFIG_REGISTRY:-https://registry.npmjs.org}
archive=$(mktemp)
curl --fail --silent --show-error --location --retry 3 --output "$archive" "${registry%/}/$1/-/$1-$2.tgz"
mkdir -p "$3"
tar -xzf "$archive" -C "$3" --strip-components=1
rm "$archive"
