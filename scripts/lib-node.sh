# The packages of package-lock.json. Sourced; POSIX sh. Needs lib-say.sh.

ensure_node_modules() {
  have node || die "Node.js is missing. Install Node 18 or newer with npm; Cofferdam brings the version it runs on by itself."
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 18 ] || die "Node.js $major is too old to run npm ci here. Install Node 18 or newer."
  have npm || die "npm is missing. Install it beside Node.js."
  if node_modules_are_fresh; then return; fi
  started=$(date +%s)
  say "Installing packages with npm ci."
  npm ci --no-audit --no-fund >"$logs/npm.log" 2>&1 || install_what_is_there || die "npm ci failed. See $logs/npm.log."
  say_done "$started" "installed"
}

# npm 11 refuses a lock file without the packages of other platforms, and a registry may not have those. npm install takes
# the versions of the lock file as well, and leaves it as it is.
install_what_is_there() {
  if ! grep -q 'npm error code EUSAGE' "$logs/npm.log"; then
    tail -n 20 "$logs/npm.log" >&2
    return 1
  fi
  say "npm ci misses packages of other platforms in the lock file: npm install takes what is there."
  in_log "$logs/npm.log" npm install --no-save --no-audit --no-fund
}

# Whether what is installed is what the lock file says, by npm's own record of it.
node_modules_are_fresh() {
  [ -x node_modules/node/bin/node ] && [ -r node_modules/.package-lock.json ] && node -e '
    const read = (path) => JSON.parse(require("fs").readFileSync(path, "utf8")).packages;
    const wanted = read("package-lock.json");
    const installed = read("node_modules/.package-lock.json");
    const stale = Object.entries(wanted).some(([path, entry]) =>
      path !== "" && (installed[path] ? installed[path].version !== entry.version : !entry.optional));
    process.exit(stale ? 1 : 0);
  '
}
