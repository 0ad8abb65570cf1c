#!/usr/bin/env bash
# Finds the words of the pages, brings the catalogues up to date, and compiles them.
# What is new is empty in concert/translations/ko/LC_MESSAGES/messages.po: fill it in,
# and run this again. A test says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

catalogues=concert/translations
words=$(mktemp)
trap 'rm -f "$words"' EXIT

.venv/bin/pybabel -q extract -F "$catalogues/babel.cfg" -k lazy_gettext --ignore-dirs '.*' --add-location=file \
    --sort-output -o "$words" .
.venv/bin/pybabel -q update -i "$words" -d "$catalogues" --no-fuzzy-matching --ignore-obsolete \
    --ignore-pot-creation-date --width 100
.venv/bin/pybabel -q compile -d "$catalogues"
