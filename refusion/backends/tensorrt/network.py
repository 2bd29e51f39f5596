"""The network of an engine: its execution context, at one shape at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refusion.errors import BackendError

if TYPE_CHECKING:
    from refusion.backends.tensorrt.loading import LoadedEngine

SOURCES, FUSED = "sources", "fused"
FLOAT_BYTES = 4


class BatchShape(NamedTuple):
    """Size of one run."""

    batch: int
    height: int
    width: int

    @property
    def text(self) -> str:
        """For messages, for instance "640x480" or "4 pairs of 640x480"."""
        size = f"{self.width}x{self.height}"
        return size if self.batch == 1 else f"{self.batch} pairs of {size}"

    @property
    def plane_bytes(self) -> int:
        """One plane of the network, float32."""
        return self.height * self.width * FLOAT_BYTES

    @property
    def sources_bytes(self) -> int:
        """The network's input: two planes a pair."""
        return 2 * self.fused_bytes

    @property
    def fused_bytes(self) -> int:
        """The network's output: a plane a pair."""
        return self.batch * self.plane_bytes


class EngineNetwork:
    """Runs an engine on device memory. Everything needs the context of its device current."""

    def __init__(self, loaded: LoadedEngine) -> None:
        """Create the execution context, with its memory.

        Raises:
            BackendError: The engine is not one of ours, or there is not enough memory.
        """
        self.library = loaded.library
        self._runtime: Any = loaded.runtime
        self._engine: Any = loaded.engine
        self._check_tensors()
        self._profile = loaded.profile
        with self.library.log.recording() as lines:
            self._context: Any = self._create_context()
        if self._context is None:
            raise self.library.failure("could not prepare the engine to run", lines)

    def _check_tensors(self) -> None:
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        found = {
            name: (engine.get_tensor_dtype(name).name, len(engine.get_tensor_shape(name))) for name in names
        }
        expected = {SOURCES: ("FLOAT", 4), FUSED: ("FLOAT", 4)}
        if found != expected:
            raise BackendError(
                f"the engine is not a ReFusion network: expected the tensors {expected}, found {found}; "
                "`refusion export` builds such engines"
            )

    def _create_context(self) -> Any:
        if hasattr(self._engine, "create_runtime_config"):
            config = self._engine.create_runtime_config()
            strategies = getattr(self.library.module, "DynamicShapesKernelSpecializationStrategy", None)
            if strategies is not None:
                # TensorRT-RTX compiles kernels for a new shape in the background by default; a graph that
                # is captured before they are ready would keep the slow ones for good.
                config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
                return self._engine.create_execution_context(config)
        return self._engine.create_execution_context()

    @property
    def largest_batch(self) -> int:
        """Pairs that fit into one run."""
        return self._profile.maximum[0]

    def check(self, shape: BatchShape) -> None:
        """Raise InputError if the engine was not built for this size."""
        self._profile.check(*shape)

    def prepare(self, shape: BatchShape, *, sources: int, fused: int) -> None:
        """Set the shape and the device addresses of the next runs. Work captured before is void after.

        Raises:
            BackendError: TensorRT refuses them.
        """
        context = self._context
        with self.library.log.recording() as lines:
            done = (
                context.set_input_shape(SOURCES, (shape.batch, 2, shape.height, shape.width))
                and context.set_tensor_address(SOURCES, sources)
                and context.set_tensor_address(FUSED, fused)
            )
        if not done:
            raise self.library.failure(f"refused {shape.text}", lines)

    def enqueue(self, stream: int) -> None:
        """Enqueue one run on a stream.

        Raises:
            BackendError: TensorRT failed.
        """
        with self.library.log.recording() as lines:
            done = self._context.execute_async_v3(stream)
        if not done:
            raise self.library.failure("could not run the network", lines)

    def close(self) -> None:
        """Free the execution context, then the engine, then the runtime, which must outlive it."""
        self._context = None
        self._engine = None
        self._runtime = None
