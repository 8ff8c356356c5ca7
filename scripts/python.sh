#!/bin/sh
# Print the path of a Python 3.11: the distribution's first, whatever "python3" on PATH is.
set -eu
cd "$(dirname "$0")/.."
. scripts/say.sh
for candidate in /usr/bin/python3.11 /usr/bin/python3 "$(command -v python3.11 || true)" "$(command -v python3 || true)"; do
    [ -x "$candidate" ] || continue
    if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; then
        printf '%s\n' "$candidate"
        exit 0
    fi
done
stop "Python 3.11 was not found: on Debian 12 run \"apt-get install python3\", elsewhere install Python 3.11 and put python3.11 on PATH."
