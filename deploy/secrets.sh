#!/bin/sh
# Writes .env beside compose.yaml: deploy/env.example with a random value in each empty place. One that is there stays.
set -eu
umask 077
folder=$(dirname "$0")
target=${1:-"$folder/../.env"}
if [ -e "$target" ]; then
    echo "$target is there already; take it away to make new secrets" >&2
    exit 1
fi
while IFS= read -r line; do
    case "$line" in
        [A-Z]*=) printf '%sx%s\n' "$line" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" ;;
        *) printf '%s\n' "$line" ;;
    esac
done < "$folder/env.example" > "$target"
