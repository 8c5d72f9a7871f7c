#!/bin/sh
# What packages are fetched with, and what Node's own files are collected with.
set -eu
packages="binutils busybox-static libstdc++6 nftables ca-certificates"
if [ "$PREBUILT" != yes ]; then packages="$packages curl"; fi
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $packages >/dev/null
printf '%s\n' "$EXTRA_CA" >>/etc/ssl/certs/ca-certificates.crt
