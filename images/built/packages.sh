#!/bin/sh
# The packages of package-lock.json, Node 24 among them.
set -eu
[ "$PREBUILT" != yes ] || exit 0
if [ -n "$NPM_CONFIG_REGISTRY" ]; then export NPM_CONFIG_REGISTRY; else unset NPM_CONFIG_REGISTRY; fi
# Debian's npm and the Node that it installs trust what the system trusts.
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
npm ci --no-audit --no-fund --loglevel=error
