#!/usr/bin/env bash
# Resolves the packages and writes both lock files: for every platform, with hashes, and
# without the address of any registry.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local file=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-strip-extras --custom-compile-command "make lock" \
        --upgrade "$@" --output-file "$file" pyproject.toml
    echo "$file: $(grep -c '==' "$file") packages"
}

# The first is what the container gets. The second adds the local servers and the tools,
# and may not disagree with the first.
compile requirements.lock
compile requirements-dev.lock --constraints requirements.lock --extra local --extra dev
