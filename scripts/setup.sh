#!/usr/bin/env bash
# Makes .venv with the locked packages and this project in it. A second run does nothing.
#
#   scripts/setup.sh         what running the service on this machine needs
#   scripts/setup.sh dev     and the tools that look at the code, and the packages of the tests
#   scripts/setup.sh test    and the browser, fonts and proxy of the tests
#   scripts/setup.sh deploy  .venv-deploy, with what judges the templates for a cloud, and nothing else
#   scripts/setup.sh bench   and the load generator of the benchmarks
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

# Runs a command as root; 1 when that is not possible.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# Installs Debian packages; 1 when that is not possible here.
apt_install() {
    command -v apt-get >/dev/null || return 1
    as_root true || return 1
    say "Installing $* with apt-get"
    local log
    log=$(mktemp)
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null >"$log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            "$@" </dev/null >>"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

check_python() {
    if ! command -v "$PYTHON" >/dev/null; then
        say "Python is missing. Run: apt-get install python3 python3-venv"
        exit 1
    fi
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "$("$PYTHON" -V) is too old: 3.11 or newer is needed. Name one with PYTHON=/path/to/python3."
        exit 1
    fi
}

make_venv() {
    # Debian splits the standard library: without python3-venv there is no ensurepip.
    if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3-venv || {
            say "Python's venv module is missing. Run: apt-get install python3-venv"
            exit 1
        }
    fi
    say "Making .venv with $("$PYTHON" -V)"
    rm -rf .venv
    "$PYTHON" -m venv .venv
}

# One calm line in a terminal, one in twenty packages in a log.
show_progress() {
    local total tty=0
    total=$(grep -c '==' "$1")
    [ -t 2 ] && tty=1
    awk -v total="$total" -v tty="$tty" '
        /^Collecting / {
            n++
            split($2, name, "[=<>;[]")
            if (tty) printf "\r  package %d of about %d: %-30.30s", n, total, name[1] > "/dev/stderr"
            else if (n % 20 == 0) printf "  package %d of about %d\n", n, total > "/dev/stderr"
        }
        /^Installing collected packages/ {
            if (tty) printf "\r%-70s\r", "" > "/dev/stderr"
            print "  unpacking" > "/dev/stderr"
        }
        /^ERROR|^error/ { print > "/dev/stderr" }
    '
}

# The lock file is complete, so nothing has to be found out about what depends on what.
install_packages() {
    say "Installing $2"
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --require-hashes --only-binary :all: --no-deps --no-compile -r "$1" </dev/null |
        show_progress "$1"
}

# Puts the project itself into the environment, in place.
install_project() {
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --quiet \
        --no-deps --no-build-isolation --no-index --editable . </dev/null
}

# Installs a lock file's packages, where that has not been done: lock file, and what it is.
layer() {
    local stamp
    stamp=.venv/.installed-${1%.lock}-$(cat "$1" pyproject.toml | sha256sum | cut -c 1-16)
    if [ -e "$stamp" ] && [ -x .venv/bin/python ]; then
        return
    fi
    check_python
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        make_venv
    fi
    rm -f ".venv/.installed-${1%.lock}"-*
    install_packages "$1" "$2"
    install_project
    touch "$stamp"
    say "The environment is ready"
}

install_test_tools() {
    local missing=()
    # The one without a window where there is a package of it, which costs a third less; else the whole browser.
    command -v chromium-headless-shell chromium >/dev/null ||
        apt_install chromium-headless-shell || missing+=(chromium)
    # Debian keeps it where only root's PATH leads.
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx)
    PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
    [ -n "$(fc-list :lang=ko 2>/dev/null | head -n 1)" ] || missing+=(fonts-noto-cjk fontconfig)
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "${missing[@]}" ||
            say "The tests of pages, proxy and bouncer need these. Run: apt-get install ${missing[*]}"
    fi
}

install_bench_tools() {
    command -v wrk >/dev/null || apt_install wrk ||
        say "The benchmarks need the load generator wrk. Run: apt-get install wrk"
}

# It agrees with our own packages on too little to share an environment with them.
make_deploy_environment() {
    local stamp
    stamp=.venv-deploy/.installed-$(sha256sum <requirements-deploy.lock | cut -c 1-16)
    [ -e "$stamp" ] && return
    check_python
    say "Making .venv-deploy (a minute, the first time)"
    rm -rf .venv-deploy
    "$PYTHON" -m venv .venv-deploy
    .venv-deploy/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --require-hashes --only-binary :all: --no-deps --no-compile -r requirements-deploy.lock </dev/null |
        show_progress requirements-deploy.lock
    touch "$stamp"
}

# Two commands in one checkout at once: the second waits for the first.
if command -v flock >/dev/null; then
    exec 9<"$0"
    flock 9
fi

if [ "${1:-}" = deploy ]; then
    make_deploy_environment
    exit
fi

layer requirements-local.lock "the locked packages (half a minute, the first time)"
case ${1:-} in
    dev | test | bench) layer requirements-dev.lock "the packages of the tests (a minute, the first time)" ;;
esac

case ${1:-} in
    test) install_test_tools ;;
    bench) install_bench_tools ;;
esac
