# What the tests of the stores need: PostgreSQL of Debian's package, and versitygw, an S3 server in one file. The tests start
# both themselves, on loopback. Sourced; POSIX sh. Needs lib-say.sh and lib-apt.sh.

s3_server_version=1.8.0
# Go comes in by the module proxy where the machine's own is too old for versitygw.
go_version=1.26.0
oldest_useful_go=1.21

ensure_postgres() {
  if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then return; fi
  is_root && is_debian_like ||
    die "The tests need PostgreSQL's server in /usr/lib/postgresql. Install it: apt-get install postgresql"
  started=$(date +%s)
  say "Installing PostgreSQL for tests."
  apt_install postgresql
  # Its package brings a database of the machine, which nobody asked for.
  for version in /usr/lib/postgresql/*; do
    pg_dropcluster --stop "${version##*/}" main >/dev/null 2>&1 || true
  done
  say_done "$started" "installed"
}

# Where test/stores/support/s3-server.ts looks for it.
s3_server() {
  printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/cofferdam/versitygw-$s3_server_version"
}

ensure_s3_server() {
  target=$(s3_server)
  [ ! -x "$target" ] || return 0
  started=$(date +%s)
  say "Building versitygw $s3_server_version, an S3 server for tests. This takes minutes, once."
  work=$(mktemp -d)
  # A module cache of its own, which goes afterwards: it is 20 times as large as what comes of it. Without C, what comes of it runs in
  # any container.
  export GOPATH="$work/path" GOCACHE="$work/cache" GOFLAGS="-modcacherw -buildvcs=false -trimpath" CGO_ENABLED=0
  go=$(useful_go) || {
    rm -rf "$work"
    exit 3
  }
  GOBIN=$work/bin in_log "$logs/go.log" "$go" install "github.com/versity/versitygw/cmd/versitygw@v$s3_server_version" || {
    rm -rf "$work"
    die "versitygw does not build. See $logs/go.log."
  }
  mkdir -p "$(dirname "$target")"
  # On its own file system first: whoever looks meanwhile sees all of it, or nothing.
  cp "$work/bin/versitygw" "$target.$$"
  mv "$target.$$" "$target"
  rm -rf "$work"
  unset GOPATH GOCACHE GOFLAGS CGO_ENABLED
  say_done "$started" "built"
}

# Prints a go that is new enough, or that brings a newer one by itself.
useful_go() {
  found=$(PATH="$PATH:/usr/local/go/bin" command -v go || true)
  if [ -z "$found" ]; then
    is_root && is_debian_like ||
      die "The tests need Go $oldest_useful_go or newer, to build versitygw. Install it, then run this again."
    apt_install golang-go ca-certificates
    found=$(command -v go)
  fi
  version=$("$found" env GOVERSION | sed 's/^go//')
  if [ "$(printf '%s\n' "$oldest_useful_go" "$version" | sort -V | head -n 1)" = "$oldest_useful_go" ]; then
    printf '%s\n' "$found"
    return
  fi
  module="golang.org/toolchain@v0.0.1-go$go_version.linux-$("$found" env GOARCH)"
  in_log "$logs/go.log" "$found" mod download "$module" ||
    die "Go $version is too old, and did not get Go $go_version. See $logs/go.log. Or install Go $oldest_useful_go or newer."
  root=$GOPATH/pkg/mod/$module
  # An old go takes it for a module like any other, in which nothing is to be run.
  chmod -R u+x "$root/bin" "$root/pkg/tool"
  printf '%s\n' "$root/bin/go"
}
