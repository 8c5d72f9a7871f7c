# Debian's packages, from the machine's own sources only. Sourced; POSIX sh. Needs lib-say.sh.

# The machine's distribution: debian, ubuntu, rhel, …
os_field() {
  [ -r /etc/os-release ] || return 0
  sed -n "s/^$1=//p" /etc/os-release | tr -d '"' | head -n 1
}

is_debian_like() {
  case " $(os_field ID) $(os_field ID_LIKE) " in
    *" debian "* | *" ubuntu "*) have apt-get ;;
    *) return 1 ;;
  esac
}

# apt_install PACKAGE…: asks for new lists only when the packages are not known.
apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1; then
    apt-get update -qq >/dev/null 2>&1 || true
    in_log "$logs/apt.log" apt-get install -y -qq --no-install-recommends "$@" ||
      die "apt could not install: $*. See $logs/apt.log."
  fi
}

# debian_sources SUITE: the machine's own Debian sources as one-line entries for another release of Debian.
# Empty where the machine has none of its own (Ubuntu).
debian_sources() {
  own=$(os_field VERSION_CODENAME)
  [ "$(os_field ID)" = debian ] && [ -n "$own" ] || return 0
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  option=
  [ -r "$keyring" ] && option="[signed-by=$keyring] "
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    while read -r uri release component; do
      case "$release" in
        "$own" | "$own-updates" | "$own-security") ;;
        *) continue ;;
      esac
      [ "$component" = main ] && printf 'deb %s%s %s main\n' "$option" "$uri" "$1${release#"$own"}"
    done | sort -u
}

# fetch_debs HOME SUITE PACKAGE…: unpacks packages of another release of Debian into HOME/root, without what they depend on.
# Changes no package, no list and no pin of the machine.
fetch_debs() {
  into=$1
  suite=$2
  shift 2
  mkdir -p "$into/apt/lists/partial" "$into/apt/cache/archives/partial" "$into/debs"
  debian_sources "$suite" >"$into/apt/sources.list"
  [ -s "$into/apt/sources.list" ] || die "This machine has no Debian sources of its own to take from $suite: $*."
  packages=$*
  set -- -o "Dir::Etc::sourcelist=$into/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o "Dir::State::lists=$into/apt/lists" -o "Dir::Cache=$into/apt/cache" -o APT::Sandbox::User=root
  in_log "$into/apt.log" apt-get "$@" update -qq || die "apt could not read $suite. See $into/apt.log."
  # shellcheck disable=SC2086 # a list of words
  (cd "$into/debs" && in_log "$into/apt.log" apt-get "$@" download -qq $packages) ||
    die "apt could not fetch from $suite: $packages. See $into/apt.log."
  for package in "$into"/debs/*.deb; do dpkg-deb -x "$package" "$into/root"; done
  rm -rf "$into/apt" "$into/debs"
}
