#!/bin/sh
# Install the distribution packages that are missing, saying what and why.
# Usage: scripts/packages.sh python|database|browser ...
# Nothing is installed when nothing is missing, and then neither root nor a network is needed.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh

has_database() {
    for server in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres || true)"; do
        [ -x "$server" ] || continue
        shared=$("$(dirname "$server")/pg_config" --sharedir 2>/dev/null) || continue
        [ -e "$shared/extension/postgis.control" ] && return 0
    done
    return 1
}

has_venv() { "$(scripts/python.sh)" -c 'import ensurepip' 2>/dev/null; }

has_libatomic() { ls /usr/lib/*/libatomic.so.1 /usr/lib/libatomic.so.1 >/dev/null 2>&1 || ldconfig -p 2>/dev/null | grep -q libatomic.so.1; }

missing=""
reasons=""
for purpose in "$@"; do
    case $purpose in
    python)
        scripts/python.sh >/dev/null || exit 1
        has_venv || { missing="$missing python3-venv" reasons="$reasons, python3-venv to make the environment"; }
        ;;
    database)
        # Asked for an existing PostGIS, the demo needs no server here.
        [ -n "${AMANAR_DATABASE_URL:-}" ] || has_database || {
            missing="$missing postgresql-15 postgresql-15-postgis-3"
            reasons="$reasons, PostgreSQL and PostGIS for a private database"
        }
        ;;
    test-database)
        has_database || {
            missing="$missing postgresql-15 postgresql-15-postgis-3"
            reasons="$reasons, PostgreSQL and PostGIS for the tests' database"
        }
        ;;
    browser)
        command -v chromium >/dev/null || {
            missing="$missing chromium"
            reasons="$reasons, Chromium to try the pages in a real browser"
        }
        has_libatomic || {
            missing="$missing libatomic1"
            reasons="$reasons, libatomic1 for the program that drives the browser"
        }
        ;;
    *) stop "packages.sh knows python, database, test-database and browser, not $purpose." ;;
    esac
done
[ -n "$missing" ] || exit 0

lock_setup
command -v apt-get >/dev/null ||
    stop "There is no apt-get here: install PostgreSQL 15 with PostGIS 3, Python 3.11 with venv and Chromium by hand ($missing), then run this again."

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif [ -t 0 ]; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}
by_hand="needed are$missing (${reasons#, }): ask an administrator for \"apt-get install$missing\" and run this again."
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "$(id -un) is not root and there is no sudo: $by_hand"
    as_root true || stop "sudo refused $(id -un): $by_hand"
fi

say "installing$missing (${reasons#, })"
apt() { as_root apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"; }

apt update >&2 || say "apt-get update had errors (above); trying with the lists there are"
case $missing in
*postgresql*)
    # The package would make and start a cluster on port 5432. We never use that one, so it is
    # not made; the switch is taken away again afterwards.
    switch=/etc/postgresql-common/createcluster.d/amanar.conf
    if [ ! -d /etc/postgresql/15 ]; then
        apt install --no-install-recommends postgresql-common >&2 ||
            stop "apt-get could not install postgresql-common (see above): check the network and /etc/apt/sources.list, then run this again."
        as_root mkdir -p "$(dirname "$switch")"
        as_root sh -c "echo 'create_main_cluster = false' >$switch"
    fi
    ;;
esac
# shellcheck disable=SC2086 # the list is meant to be split
apt install --no-install-recommends $missing >&2 || failed=yes
[ -z "${switch:-}" ] || as_root rm -f "$switch"
[ -z "${failed:-}" ] ||
    stop "apt-get could not install$missing (see above): check the network, the free disk and /etc/apt/sources.list, then run this again."
