#!/bin/sh
# The files that compose/production.yml takes its secrets from, those that are missing:
#   sh compose/make-secrets.sh NAME…        names and addresses under which the control plane is reached
# Put your own certificate.pem, certificate-key.pem and authority.pem there first, where you have them; and the keys of the bucket.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || { echo "make-secrets: name the control plane: sh compose/make-secrets.sh cofferdam.example.com" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "make-secrets: the containers read these files as root, without a capability: run it with sudo" >&2; exit 2; }
command -v openssl >/dev/null || { echo "make-secrets: openssl is missing. Install it." >&2; exit 3; }
umask 077
mkdir -p secrets
cd secrets

# secret FILE: a new random one, unless there is one.
secret() {
  [ -s "$1" ] || openssl rand -hex 24 >"$1"
}

secret admin-token
secret database-password
[ -s database-url ] || printf 'postgres://cofferdam:%s@postgres:5432/cofferdam\n' "$(cat database-password)" >database-url
for file in s3-access-key-id s3-secret-access-key; do
  [ -e "$file" ] || : >"$file"
done

names=DNS:control-plane,DNS:localhost,IP:127.0.0.1
for name in "$@"; do
  case $name in
    *[!0-9.]*) names=$names,DNS:$name ;;
    *) names=$names,IP:$name ;;
  esac
done
if [ ! -s certificate.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=Cofferdam's own authority" \
    -keyout authority-key.pem -out authority.pem 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
    -keyout certificate-key.pem -out request.pem 2>/dev/null
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\n' "$names" >extensions
  openssl x509 -req -in request.pem -CA authority.pem -CAkey authority-key.pem -CAcreateserial -days 820 \
    -extfile extensions -out certificate.pem 2>/dev/null
  rm -f request.pem extensions authority.srl
fi
echo "The secrets are in $PWD. Clients trust authority.pem; the administrator's token is in admin-token."
