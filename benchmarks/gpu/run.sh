#!/usr/bin/env bash
# Runs a job of this folder from a bare checkout: bash benchmarks/gpu/run.sh JOB [ARGUMENT ...]
# The packages are linked together as an installation would place them; nothing is built or installed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/refusion"
ln -s "$root"/refusion/* "$root"/{export,training,benchmarks} "$tree/refusion/"
# Safe path: python -m would put the working directory first, where refusion lacks the linked packages.
PYTHONPATH="$tree" PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
  "${PYTHON:-python3}" -m "refusion.benchmarks.gpu.$1" "${@:2}"
