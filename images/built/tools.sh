#!/bin/sh
# What the bundles are made with, and what Node's own files are collected with.
set -eu
packages="binutils busybox-static libstdc++6 nftables ca-certificates"
if [ "$PREBUILT" != yes ]; then packages="$packages nodejs npm"; fi
# Nothing of this stage has to survive a crash, and nobody reads in it: without it npm's four hundred packages take four times as long.
printf 'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' >/etc/dpkg/dpkg.cfg.d/cofferdam
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $packages >/dev/null
printf '%s\n' "$EXTRA_CA" >>/etc/ssl/certs/ca-certificates.crt
