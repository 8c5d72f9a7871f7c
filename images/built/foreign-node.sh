#!/bin/sh
# Fetches Node for $TARGETARCH from npm, in the version given, and prints its path.
set -eu
if [ -n "$NPM_CONFIG_REGISTRY" ]; then export NPM_CONFIG_REGISTRY; else unset NPM_CONFIG_REGISTRY; fi
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
cd "$(mktemp -d)"
tar -xzf "$(npm pack --silent "node-linux-$TARGETARCH@$1")"
echo "$PWD/package/bin/node"
