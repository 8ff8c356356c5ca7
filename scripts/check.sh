#!/bin/sh
# Every check there is, in one go; ends with pytest's summary.
# Usage: scripts/check.sh [PYTEST ARGUMENTS]      (default: everything)
set -u
cd "$(dirname "$0")/.."
. scripts/say.sh
PATH=$(pwd)/.venv/bin:$PATH
export PATH

failed=""
check() {
    say "$*"
    "$@" || failed="$failed, $*"
}
check ruff check -q .
check ruff format -q --check .
check mypy
check lint-imports
for notebook in notebooks/*.py; do
    # pytest runs the notebooks as a reader would: from the paired file, in their own folder.
    [ -e "$notebook" ] && check jupytext --quiet --to ipynb "$notebook"
done

[ $# -gt 0 ] || set -- -n 2 --dist loadgroup --nbmake tests notebooks
say "pytest $*"
python -m pytest "$@"
status=$?
if [ -n "$failed" ]; then
    say "failed before pytest:${failed#,}"
    exit 1
fi
exit $status
