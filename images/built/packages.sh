#!/bin/sh
# What the bundles are made of and with: the packages of package-lock.json without those that only checks and tests need, and Node 24 in
# /node. Debian's own npm would bring four hundred packages of Debian's.
set -eu
[ "$PREBUILT" != yes ] || exit 0
# Refuses no lock file that lacks packages of other platforms, as npm 11 does.
npm=10.9.4
node=$(sed -n '/^    "node_modules\/node": {$/,/}/s/.*"version": "\(.*\)",$/\1/p' package-lock.json)
case $(dpkg --print-architecture) in
  amd64) cpu=x64 ;;
  *) cpu=$(dpkg --print-architecture) ;;
esac
if [ -n "$NPM_CONFIG_REGISTRY" ]; then export NPM_CONFIG_REGISTRY; else unset NPM_CONFIG_REGISTRY; fi
# Trusts what the system trusts.
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
export PATH="/node/bin:$PATH"
/built-by/fetch.sh "node-linux-$cpu" "$node" /node
/built-by/fetch.sh npm "$npm" /npm
node /npm/bin/npm-cli.js ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
rm -rf /npm "$HOME/.npm"
