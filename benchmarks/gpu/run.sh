#!/usr/bin/env bash
# Runs a job of this folder from a bare checkout: bash benchmarks/gpu/run.sh JOB [ARGUMENT ...]
# The packages are linked together as an installation would place them; nothing is installed, and nothing
# built but refusion._C, by the job that times it. Compiled modules and packages come from .kit, and from what
# `receive` unpacked, by the version of $PYTHON.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python3}
if [[ $1 == ops ]]; then "$python" "$root/benchmarks/gpu/build_native.py"; fi
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/refusion"
ln -s "$root"/refusion/* "$root"/{export,training,benchmarks} "$tree/refusion/"
for module in "$root"/benchmarks/gpu/.kit/native/_C*.so; do
  # One that was built here is of these sources.
  if [[ -e $module && ! -e $tree/refusion/${module##*/} ]]; then ln -s "$module" "$tree/refusion/"; fi
done
site=site-$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
export PYTHONPATH="$tree:$root/benchmarks/gpu/.kit/$site:/tmp/refusion-gpu/$site"
out=${OUT:-out/gpu}
if [[ $out != /* ]]; then out=$PWD/$out; fi
export OUT=$out
# python -m puts the working directory first on its path: not the checkout, whose refusion lacks the linked packages.
cd "$tree"
PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 "$python" -m "refusion.benchmarks.gpu.$1" "${@:2}"
