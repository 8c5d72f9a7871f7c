#!/bin/sh
# As the public image does: makes the cluster at the first start, then serves.
set -eu
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  install -d -o postgres -g postgres -m 0700 "$data"
  password=$(mktemp)
  cat "$POSTGRES_PASSWORD_FILE" >"$password"
  chown postgres "$password"
  su postgres -c "initdb --username=$POSTGRES_USER --pwfile=$password --auth=scram-sha-256 $data" >/dev/null
  rm "$password"
  su postgres -c "printf 'CREATE DATABASE %s;\n' $POSTGRES_DB | postgres --single -D $data postgres" >/dev/null
  printf 'host all all all scram-sha-256\n' >>"$data/pg_hba.conf"
fi
exec su postgres -c "exec postgres -D $data -c listen_addresses='*'"
