#!/bin/sh
# Fetches Node for $TARGETARCH from npm's registry, in the version given, and prints its path.
set -eu
directory=$(mktemp -d)
"${0%/*}/fetch.sh" "node-linux-$TARGETARCH" "$1" "$directory"
echo "$directory/bin/node"
