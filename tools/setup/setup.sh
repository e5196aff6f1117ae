#!/bin/sh
# usage: setup.sh PART...   (play, test, bench, lab)   environment: VENV, PYTHON, TORCH
# Finds a Python that fits and hands over to environment.py; with an environment up to date, that is all in one start
# of its interpreter.
set -eu
here=$(dirname "$0")
venv=${VENV:-.venv}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

if [ -z "${PYTHON:-}" ] && fits "$venv/bin/python"; then
    exec "$venv/bin/python" "$here/environment.py" --venv "$venv" "$@"
fi

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11; do
        if fits "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

may_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; $sudo true 2>/dev/null; fi
}

# Python of the distribution, or a second one beside it (Ubuntu 22.04 has 3.10 and 3.11).
install_python() {
    may_install || return 1
    echo "setup: no Python 3.11 to 3.13 here; installing one with apt-get"
    $sudo apt-get update -qq || true
    for package in python3 python3.13 python3.12 python3.11; do
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" "$package-venv" >/dev/null 2>&1 || continue
        find_python && return 0
    done
    return 1
}

remedy() {
    if command -v apt-get >/dev/null; then echo "sudo apt-get install python3.11 python3.11-venv"
    elif command -v dnf >/dev/null; then echo "sudo dnf install python3.12"
    elif command -v pacman >/dev/null; then echo "sudo pacman -S python (or python312)"
    elif command -v zypper >/dev/null; then echo "sudo zypper install python312"
    elif command -v brew >/dev/null; then echo "brew install python@3.12"
    else echo "install Python 3.12 from your distribution"; fi
}

if [ -n "${PYTHON:-}" ]; then
    if ! fits "$PYTHON"; then
        found=$("$PYTHON" -V 2>&1) || found="not found"
        echo "setup: PYTHON=$PYTHON is $found; 3.11, 3.12 or 3.13 is needed" >&2
        exit 2
    fi
    python=$PYTHON
elif ! find_python && ! install_python; then
    found=$(python3 -V 2>&1) || found="no python3"
    echo "setup: Python 3.11, 3.12 or 3.13 is needed; here is $found. Run: $(remedy)" >&2
    exit 2
fi
exec "$python" "$here/environment.py" --venv "$venv" "$@"
