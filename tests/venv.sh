#!/bin/sh
# Make a virtual environment: venv.sh DIRECTORY   (PYTHON names the interpreter)
# Debian keeps the part of Python that makes them in a package of its own; root gets it installed, others are told.
set -eu
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "realmkit needs Python 3.11 or later; $python is $("$python" -V 2>&1). Try: make PYTHON=python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then
        echo "installing Debian's python3-venv, which makes virtual environments"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "this Python can't make virtual environments; on Debian: apt install python3-venv" >&2
        exit 1
    fi
fi
exec "$python" -m venv "$1"
