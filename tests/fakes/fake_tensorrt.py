"""TensorRT as its generations show themselves to Python: what a generation lacks is missing here too.

Taken from the bindings themselves (8.5.3.1, TensorRT-RTX 1.7.1) and the API documentation of 8.6, 10 and 11.
Failures are as theirs: None and a line for the logger, or pybind11's TypeError for an object that was not
made. A plan is JSON, so that a test can read what the builder was told.
"""

from __future__ import annotations

import enum
import json
import types
import warnings
from typing import Any

MAGIC = b"FAKEPLAN"
CACHE_MAGIC = b"FAKECACHE"

GENERATIONS = {
    "8.5": "8.5.3.1",
    "8.6": "8.6.1",
    "10": "10.3.0",
    "11": "11.4.1",
    "rtx": "1.7.1.116",
}


def fake_tensorrt(generation: str, *, has_gpu: bool = True, version: str | None = None) -> Any:
    """Return a module of a generation: 8.5, 8.6, 10, 11 or rtx.

    Its extra `calls` records what an engine keeps no trace of: "deserialize" and the host code setting.
    """
    module = types.ModuleType("tensorrt_rtx" if generation == "rtx" else "tensorrt")
    is_8, is_rtx = generation.startswith("8"), generation == "rtx"
    m: Any = module
    m.__version__ = version or GENERATIONS[generation]
    m.calls = []
    m.first_logger = None

    def flags(name: str, *names: str) -> Any:
        return enum.IntEnum(name, {member: index for index, member in enumerate(names)})

    m.DataType = flags("DataType", "FLOAT", "HALF", "INT8", "INT32", "BOOL", *([] if is_8 else ["INT64"]))
    kinds = [
        "CONVOLUTION",
        "ACTIVATION",
        "ELEMENTWISE",
        "REDUCE",
        "CONSTANT",
        "SHAPE",
        "SHUFFLE",
        "GATHER",
        "IDENTITY",
    ]
    m.LayerType = flags("LayerType", *kinds, *([] if generation == "8.5" else ["CAST"]))
    m.MemoryPoolType = flags("MemoryPoolType", "WORKSPACE")
    m.BuilderFlag = flags(
        "BuilderFlag",
        "TF32",
        *(["FP16", "OBEY_PRECISION_CONSTRAINTS"] if is_8 or generation == "10" else []),
    )
    creation = {"8.5": {"EXPLICIT_BATCH": 0, "EXPLICIT_PRECISION": 1}, "8.6": {"EXPLICIT_BATCH": 0}}
    creation |= {"10": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}}
    m.NetworkDefinitionCreationFlag = enum.IntEnum(
        "NetworkDefinitionCreationFlag", creation.get(generation, {"STRONGLY_TYPED": 1})
    )
    if is_rtx:
        m.ComputeCapability = enum.IntEnum(
            "ComputeCapability",
            {"NONE": 0, "CURRENT": -1} | {f"SM{number}": number for number in (75, 80, 86, 89, 120, 121)},
        )

    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    class ILogger:
        def __init__(self) -> None:
            pass

    m.ILogger = ILogger
    ILogger.Severity = Severity  # type: ignore[attr-defined]

    def say(severity: str, text: str) -> None:
        m.first_logger.log(Severity[severity], text)

    def begin(logger: Any) -> None:
        m.first_logger = m.first_logger or logger
        if logger is not m.first_logger:
            say("WARNING", "The logger passed differs from one already provided and will be ignored")
        # TensorRT-RTX makes both without a GPU.
        if not has_gpu and not is_rtx:
            say("WARNING", "CUDA initialization failure with error: 35. Please check your CUDA installation")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    class TimingCache:
        def __init__(self, entries: dict[str, float]) -> None:
            self.entries = entries

        def combine(self, other: TimingCache, ignore_mismatch: bool) -> bool:
            self.entries = other.entries | self.entries
            return True

        def serialize(self) -> bytes:
            return CACHE_MAGIC + json.dumps(self.entries).encode()

    class BuilderConfig:
        __slots__ = (
            "cache",
            "flags",
            "pools",
            "profiles",
            *([] if generation == "8.5" else ["builder_optimization_level"]),
            *([] if is_8 else ["progress_monitor"]),
            *(["capabilities", "num_compute_capabilities"] if is_rtx else []),
        )

        def __init__(self) -> None:
            self.flags = {"TF32"}
            self.pools: dict[str, int] = {}
            self.profiles: list[Any] = []
            self.cache: Any = None
            if generation != "8.5":
                self.builder_optimization_level = 3
            if not is_8:
                self.progress_monitor: Any = None

        def set_flag(self, flag: Any) -> None:
            self.flags.add(flag.name)

        def clear_flag(self, flag: Any) -> None:
            self.flags.discard(flag.name)

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            self.pools[pool.name] = size

        def add_optimization_profile(self, profile: Any) -> int:
            self.profiles.append(profile)
            return len(self.profiles) - 1

        def create_timing_cache(self, data: bytes) -> Any:
            deprecated_on_rtx()
            if data and not data.startswith(CACHE_MAGIC):
                say("ERROR", "Error Code 3: API Usage Error (timing cache header is invalid)")
                return None
            return TimingCache(json.loads(data[len(CACHE_MAGIC) :]) if data else {})

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            deprecated_on_rtx()
            self.cache = cache
            return True

        def get_timing_cache(self) -> Any:
            deprecated_on_rtx()
            return self.cache

        if is_rtx:

            def set_compute_capability(self, capability: Any, index: int) -> bool:
                if index >= self.num_compute_capabilities:
                    return False
                self.capabilities = [capability.name]
                return True

    def deprecated_on_rtx() -> None:
        if is_rtx:
            warnings.warn(
                "Timing cache operations are no-ops in TensorRT-RTX.", DeprecationWarning, stacklevel=3
            )

    class Profile:
        def __init__(self) -> None:
            self.shapes: dict[str, Any] = {}

        def set_shape(self, name: str, minimum: Any, optimum: Any, maximum: Any) -> None:
            self.shapes[name] = [list(shape) for shape in (minimum, optimum, maximum)]

    class Builder:
        def __init__(self, logger: Any) -> None:
            begin(logger)

        def create_network(self, flags: int = 0) -> Any:
            return Network(flags)

        def create_builder_config(self) -> Any:
            return BuilderConfig()

        def create_optimization_profile(self) -> Any:
            return Profile()

        def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
            return build(network, config)

    class Network:
        def __init__(self, flags: int) -> None:
            names = {flag.name for flag in m.NetworkDefinitionCreationFlag if flags & (1 << flag)}
            assert flags == sum(1 << flag for flag in m.NetworkDefinitionCreationFlag if flag.name in names)
            self.flags = names
            self.inputs: list[Any] = []
            self.outputs: list[Any] = []
            self.layers: list[Layer] = []

        num_inputs = property(lambda self: len(self.inputs))
        num_outputs = property(lambda self: len(self.outputs))
        num_layers = property(lambda self: len(self.layers))

        def get_input(self, index: int) -> Any:
            return self.inputs[index]

        def get_output(self, index: int) -> Any:
            return self.outputs[index]

        def get_layer(self, index: int) -> Any:
            return self.layers[index]

    class Layer:
        def __init__(self, name: str, kind: Any, outputs: list[Any]) -> None:
            self.name, self.type, self.outputs = name, kind, outputs
            self.precision: Any = None
            self.output_types: dict[int, Any] = {}

        num_outputs = property(lambda self: len(self.outputs))

        def get_output(self, index: int) -> Any:
            return self.outputs[index]

        def set_output_type(self, index: int, dtype: Any) -> None:
            self.output_types[index] = dtype

    class OnnxParser:
        def __init__(self, network: Any, logger: Any) -> None:
            begin(logger)
            self.network = network
            self.errors: list[str] = []

        num_errors = property(lambda self: len(self.errors))

        def get_error(self, index: int) -> str:
            return self.errors[index]

        def parse(self, data: bytes) -> bool:
            # An empty file is a valid protobuf message, of nothing.
            if not data:
                return True
            self.errors = parse(self.network, data)
            for error in self.errors:
                say("ERROR", error)
            return not self.errors

    def parse(network: Network, data: bytes) -> list[str]:
        import onnx

        if is_8 and "EXPLICIT_BATCH" not in network.flags:
            return ["Assertion failed: !_network->hasImplicitBatchDimension()"]
        try:
            model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
        except Exception as error:
            return [f"MODEL_DESERIALIZE_FAILED: {type(error).__name__}"]
        # By ONNX's numbers; 8.x has no INT64 and reads it as INT32.
        dtypes = {1: m.DataType.FLOAT, 6: m.DataType.INT32, 9: m.DataType.BOOL, 10: m.DataType.HALF}
        dtypes[7] = m.DataType.INT32 if is_8 else m.DataType.INT64
        graph = model.graph
        values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}

        def tensor(name: str) -> Any:
            return types.SimpleNamespace(name=name, dtype=dtypes[values[name].type.tensor_type.elem_type])

        operators = {"Conv": "CONVOLUTION", "ReduceL2": "REDUCE", "Div": "ELEMENTWISE"}
        operators |= {"Shape": "SHAPE", "Reshape": "SHUFFLE", "Gather": "GATHER"}
        for node in graph.node:
            if node.op_type == "Gelu" and is_8:
                return ["No importer registered for op: Gelu"]
            cast = "IDENTITY" if generation == "8.5" else "CAST"
            kind = cast if node.op_type == "Cast" else operators.get(node.op_type, "ACTIVATION")
            network.layers.append(Layer(node.name, m.LayerType[kind], [tensor(name) for name in node.output]))
        network.layers.append(
            Layer(
                "weight", m.LayerType.CONSTANT, [types.SimpleNamespace(name="weight", dtype=m.DataType.HALF)]
            )
        )
        network.inputs = [tensor(value.name) for value in graph.input]
        network.outputs = [tensor(value.name) for value in graph.output]
        return []

    def build(network: Network, config: Any) -> bytes | None:
        is_typed = "STRONGLY_TYPED" in network.flags or generation in ("11", "rtx")
        if is_typed and "FP16" in config.flags:
            say("ERROR", "Error Code 4: FP16 cannot be set in a strongly typed network")
            return None
        if not config.profiles:
            say(
                "ERROR",
                "Error Code 4: Network has dynamic inputs, but no optimization profile has been defined",
            )
            return None
        if config.pools.get("WORKSPACE", 1 << 40) < 16 << 20:
            say("ERROR", "Error Code 2: OutOfMemory (Requested size was 16777216 bytes.)")
            return None
        monitor = None if is_8 else config.progress_monitor
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.phase_start("Optimizing graph", "Building engine", len(network.layers))
        timings = {}
        for index, layer in enumerate(network.layers):
            say("VERBOSE", f"timing {layer.name}")
            timings[layer.name] = 1.0
            if monitor is not None and not monitor.step_complete("Optimizing graph", index):
                return None
        if config.cache is not None:
            config.cache.entries.update(timings)
        if monitor is not None:
            monitor.phase_finish("Optimizing graph")
            monitor.step_complete("Building engine", 0)
            monitor.step_complete("Building engine", 1)
            monitor.phase_finish("Building engine")
        told = {
            "version": m.__version__,
            "creation": sorted(network.flags),
            "flags": sorted(config.flags),
            "pools": config.pools,
            "profile": config.profiles[0].shapes,
            "tensors": [value.name for value in (*network.inputs, *network.outputs)],
            "layers": {
                layer.name: [layer.precision.name, [dtype.name for dtype in layer.output_types.values()]]
                for layer in network.layers
                if layer.precision is not None
            },
            "level": getattr(config, "builder_optimization_level", None),
            "capabilities": getattr(config, "capabilities", None),
        }
        return MAGIC + json.dumps(told).encode()

    class Runtime:
        __slots__ = ("_host_code",)

        def __init__(self, logger: Any) -> None:
            begin(logger)
            self._host_code = False

        def deserialize_cuda_engine(self, data: bytes) -> Any:
            m.calls.append("deserialize")
            if not data.startswith(MAGIC):
                say("ERROR", "Serialization assertion magicTagRead == kMAGIC_TAG failed.")
                return None
            told = json.loads(data[len(MAGIC) :])
            if told["version"] != m.__version__:
                say("ERROR", f"Version tag does not match: {told['version']} != {m.__version__}")
                return None
            return Engine(told)

    if generation != "8.5":

        def allow(self: Any, value: bool) -> None:
            m.calls.append(f"host code {value}")

        Runtime.engine_host_code_allowed = property(lambda self: False, allow)  # type: ignore[attr-defined]

    class Engine:
        def __init__(self, told: dict[str, Any]) -> None:
            self.told = told
            self.num_io_tensors = len(told["tensors"])

        def get_tensor_name(self, index: int) -> str:
            return str(self.told["tensors"][index])

        def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
            return [tuple(shape) for shape in self.told["profile"][name]]

    m.Builder, m.Runtime, m.OnnxParser = Builder, Runtime, OnnxParser
    if not is_8:

        class IProgressMonitor:
            def __init__(self) -> None:
                pass

        m.IProgressMonitor = IProgressMonitor
    return m
