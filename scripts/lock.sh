#!/usr/bin/env bash
# Resolves the packages and writes the lock files: for every platform, with hashes, and
# without the address of any registry.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local file=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-strip-extras --custom-compile-command "make lock" \
        --upgrade "$@" --output-file "$file"
    echo "$file: $(grep -c '==' "$file") packages"
}

# The first is what the container gets, the second adds the local servers for `make run`, the third
# traces, the rehearsal and the tools of the tests. Each contains the one before it, and may not disagree with it.
compile requirements.lock pyproject.toml
compile requirements-local.lock --constraints requirements.lock --extra local pyproject.toml
compile requirements-dev.lock --constraints requirements-local.lock --extra local --extra otel --extra rehearsal --extra dev pyproject.toml
# What judges the pictures for a cloud has an environment, and so a list, of its own.
compile requirements-deploy.lock --group deploy-checks
