"""Takes in the parts that a call carried; when an archive is whole, unpacks it.

    bash benchmarks/gpu/run.sh receive

Parts go to /tmp/refusion-gpu/parts, outside the copy of the checkout, and last as long as the machine is
held. A line for each archive says which parts are missing, or that it is unpacked.
"""

from __future__ import annotations

import os
import subprocess
import time

from refusion.benchmarks.gpu.folders import KIT, PARTS, THERE, start
from refusion.benchmarks.gpu.parts import join, missing, receive

UNPACKED = "unpacked-"
PYTHON = THERE / "python" / "python"


def main() -> None:
    """Receive, unpack what is whole, and try a Python that came along."""
    store = THERE / "parts"
    store.mkdir(parents=True, exist_ok=True)
    manifests = receive(PARTS, store)
    if not manifests:
        print(f"no part came along: name a folder below {PARTS} in `carry`")
    for manifest in manifests:
        lacking = missing(manifest, store)
        done = THERE / f"{UNPACKED}{manifest.name}"
        if lacking:
            print(f"{manifest.name}: {len(manifest.sha256s)} parts, still missing: {lacking}")
        elif done.exists():
            print(f"{manifest.name}: was unpacked before")
        else:
            started = time.monotonic()
            join(manifest, store, THERE)
            done.touch()
            print(f"{manifest.name}: unpacked to {THERE} in {time.monotonic() - started:.0f} s")
            if manifest.name == "python":
                _try_python()


def _try_python() -> None:
    """Fail now, not after all other parts: the system's libraries may be older than those of the packer's."""
    sites = [THERE / "site-cp310", KIT / "site-cp310", KIT / "native"]
    facts = ["import sys, numpy, cv2, onnxruntime", "print(sys.version, numpy.__version__, cv2.__version__)"]
    if sites[-1].is_dir():
        facts += ["import pycuda.driver, _C", "print(_C.build_info(), _C.cuda_devices())"]
    path = os.pathsep.join(map(str, sites))
    subprocess.run([PYTHON, "-c", "; ".join(facts)], env=os.environ | {"PYTHONPATH": path}, check=True)


if __name__ == "__main__":
    start(main)
