"""Whether TensorRT-RTX engines that were built without this GPU load on it, and how one built here does.

    bash benchmarks/gpu/run.sh references --sizes 640x480
    bash benchmarks/gpu/run.sh rtx

Hands every engine in /tmp/refusion-gpu/rtx-engines (see `packs rtx`) to TensorRT-RTX itself, past refusion's
own check of the compute capability, and reports what it logs. Then builds one for the GPU at hand, and
measures it as `engines` does. Writes rtx.json and .md, and engines-tensorrt-rtx.json and .md to $OUT.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.device import cuda_device
from refusion.backends.tensorrt.library import Flavour, Library, load_library
from refusion.backends.tensorrt.loading import LoadedEngine
from refusion.backends.tensorrt.sidecar import read_sidecar
from refusion.benchmarks.gpu import engines
from refusion.benchmarks.gpu.folders import THERE, output_folder, start
from refusion.benchmarks.gpu.report import Results, gpu_facts
from refusion.errors import RefusionError

FOREIGN = THERE / "rtx-engines"
SIZE, BATCHES, EACH_SECONDS = "640x480", (1, 4, 8), 2.0
LOG_LINES = 20


def try_engine(plan: Path, library: Library) -> tuple[dict[str, Any], LoadedEngine | None]:
    """Deserialise a plan that was packed with its record; return what happened, and the engine if any."""
    record = read_sidecar(plan)
    data = plan.read_bytes()
    if record is None or hashlib.sha256(data).hexdigest() != record.plan_sha256:
        return {"engine": plan.name, "outcome": "damaged on the way: not tried"}, None
    tried = {"engine": plan.name, "built_for": record.identity.compute_capability}
    with library.log.recording() as lines:
        runtime = library.create("Runtime")
        runtime.engine_host_code_allowed = False
        engine = runtime.deserialize_cuda_engine(data)
        log = [f"{line.severity}: {line.text}" for line in lines.lines][-LOG_LINES:]
    if engine is None:
        return {**tried, "outcome": "refused", "log": log}, None
    loaded = LoadedEngine(plan, record, library, runtime, engine, record.identity.profile, ())
    return {**tried, "outcome": "deserialised", "log": log}, loaded


def main() -> None:
    """Try all engines, then build one."""
    flavour = Flavour.tensorrt_rtx
    library, device = load_library(flavour), cuda_device()
    facts = {**gpu_facts(), "library": library.description}
    results = Results(output_folder() / "rtx.json", facts)
    plans = sorted(FOREIGN.glob("*.plan"))
    if not plans:
        print(f"there are no engines in {FOREIGN}: pack some with `packs rtx --engines DIR`")
    measured = Results(output_folder() / "engines-tensorrt-rtx.json", facts)
    for plan in plans:
        with device.active(f"loading {plan.name}"):
            tried, loaded = try_engine(plan, library)
        results.add(tried)
        if loaded is not None:
            label = {"built_for": tried["built_for"]}
            engines.measure_engine(loaded, SIZE, (1,), EACH_SECONDS, label, measured)
    try:
        loaded, _ = engines.opened(flavour, SIZE, BATCHES, "fp16")
    except RefusionError as error:
        results.add({"engine": "built here", "outcome": str(error)})
        return
    results.add({"engine": loaded.path.name, "built_for": "this GPU", "outcome": "built and deserialised"})
    engines.measure_engine(loaded, SIZE, BATCHES, EACH_SECONDS, {"built_for": "this GPU"}, measured)


if __name__ == "__main__":
    start(main)
