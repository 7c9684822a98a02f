#!/usr/bin/env bash
# Installs a wheel into a clean environment of every CPython >= 3.11 of this machine, and tries it there.
set -euo pipefail
wheel=$(realpath "$1")
smoke=$(realpath "$(dirname "$0")/smoke.py")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

tried=" "
for python in python3 python3.{11..20} ~/.pyenv/versions/*/bin/python; do
    # A name that is not there, or an interpreter that does not start, is not an interpreter.
    version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null) || continue
    "$python" -c 'import sys; sys.exit(sys.implementation.name != "cpython" or sys.version_info < (3, 11))' || continue
    [[ $tried == *" $version "* ]] && continue
    tried+="$version "
    echo "== CPython $version"
    "$python" -m venv "$version"
    "$version/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
    "$version/bin/python" "$smoke"
done
[[ $tried != " " ]] || { echo "no CPython >= 3.11 was found"; exit 1; }
