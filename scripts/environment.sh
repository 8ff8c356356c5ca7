#!/bin/sh
# Make .venv from uv.lock with the distribution's Python; quick when nothing changed.
# Usage: scripts/environment.sh run|test      (test adds the development tools)
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
UV_VERSION=0.13.8

wanted=${1:-run}
case $wanted in run | test) ;; *) stop "environment.sh knows run and test, not $wanted." ;; esac
python=$(scripts/python.sh)
# What the environment is made from: the lock, the project, the tools and the place.
made_from=$({
    cat uv.lock pyproject.toml
    "$python" -VV
    echo "$UV_VERSION" "$python" "$(pwd)"
} | sha256sum | cut -d' ' -f1)
stamps=.amanar/stamps

is_fresh() {
    for stamp in "$@"; do
        [ "$(cat "$stamps/environment-$stamp" 2>/dev/null)" = "$made_from" ] && .venv/bin/python -c '' 2>/dev/null && return 0
    done
    return 1
}
# The environment for tests holds everything that a run needs.
if [ "$wanted" = run ]; then enough="run test"; else enough=test; fi
# shellcheck disable=SC2086 # the list is meant to be split
is_fresh $enough && exit 0

lock_setup
# shellcheck disable=SC2086
is_fresh $enough && exit 0 # somebody else made it while we waited
want_room 4000 . "The Python environment"
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX 2>/dev/null || true
# Trust whom the system trusts, as apt and git do: pip and uv bring lists of their own, which do not
# know the proxy of a company or a laboratory.
system_certificates=/etc/ssl/certs/ca-certificates.crt
if [ -r "$system_certificates" ]; then
    export SSL_CERT_FILE="${SSL_CERT_FILE:-$system_certificates}" PIP_CERT="${PIP_CERT:-$system_certificates}"
fi

uv=.amanar/uv/bin/uv
if [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    say "installing uv $UV_VERSION into .amanar/uv (it makes the locked Python environment)"
    rm -rf .amanar/uv
    "$python" -m venv .amanar/uv || stop "$python could not make a virtual environment: install python3-venv and run this again."
    PIP_USER=0 .amanar/uv/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: "uv==$UV_VERSION" ||
        stop "pip could not install uv $UV_VERSION (see above): check that the Python package index can be reached, then run this again."
fi

if [ "$wanted" = run ]; then groups="--no-dev --inexact"; else groups=""; fi
say "making .venv from uv.lock with $python"
# shellcheck disable=SC2086
UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never "$uv" sync -q --frozen --python "$python" $groups ||
    stop "uv could not make .venv (see above): check that the Python package index can be reached and the disk has room, then run this again."
mkdir -p "$stamps"
rm -f "$stamps"/environment-*
printf '%s\n' "$made_from" >"$stamps/environment-$wanted"
