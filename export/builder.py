"""ONNX to plan, with TensorRT 8.5 to 11 and TensorRT-RTX on one path: libraries are asked what they lack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refusion.backends.tensorrt.identity import EngineIdentity
from refusion.backends.tensorrt.interrupts import held_interrupts
from refusion.backends.tensorrt.library import Library
from refusion.backends.tensorrt.loading import INPUT, OUTPUT
from refusion.backends.tensorrt.logbook import Recording
from refusion.errors import BackendError, UsageError
from refusion.export.build_progress import BuildWatch, Progress, create_monitor
from refusion.export.layer_types import constrain_layer_types
from refusion.export.onnx_source import OnnxSource
from refusion.export.tactic_sources import leave_out_missing_sources
from refusion.export.timing_cache import TimingCache


@dataclass(frozen=True)
class Compiler:
    """Compiles one model with one library."""

    library: Library
    source: OnnxSource
    identity: EngineIdentity
    timing_cache: TimingCache | None
    report: Callable[[str], None]
    progress: Progress

    def compile(self, lines: Recording, watch: BuildWatch) -> bytes:
        """Return the plan.

        Args:
            lines: Records the library's log meanwhile; errors are raised with its lines.
            watch: Told how far it is; see interruptible_compile for the way to use it.

        Raises:
            BackendError: The library refuses the model, or fails.
        """
        builder = self.library.create("Builder")
        network = self._network(builder)
        # Holds what the network refers to: it must outlive the build.
        parser = self._parsed(network, lines)
        config = builder.create_builder_config()
        if config is None:
            raise self.library.failure("gave no builder configuration", lines)
        self._set_types(network, config)
        self._set_sources(config)
        self._set_limits(config)
        self._set_target(config)
        self._add_profile(builder, config, lines)
        monitor = self._watched(config, watch)
        if self.timing_cache is not None:
            self.timing_cache.attach(config)
        try:
            plan = builder.build_serialized_network(network, config)
        except (RuntimeError, MemoryError) as error:
            raise BackendError(f"{self.library.description} failed: {error}; {lines.reason()}") from None
        del parser, monitor
        if plan is None:
            raise self.library.failure(f"could not build the engine{self._limit_text()}", lines)
        if self.timing_cache is not None:
            self.timing_cache.save(config)
        return bytes(plan)

    def _network(self, builder: Any) -> Any:
        # EXPLICIT_BATCH is needed up to 9 and gone in 11; STRONGLY_TYPED came with 9.
        known = self.library.module.NetworkDefinitionCreationFlag
        flags = 0
        for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED"):
            if hasattr(known, name):
                flags |= 1 << int(getattr(known, name))
        network = builder.create_network(flags)
        if network is None:
            raise BackendError(f"{self.library.description} gave no network for the flags {flags:#b}")
        return network

    def _parsed(self, network: Any, lines: Recording) -> Any:
        parser = self.library.module.OnnxParser(network, self.library.logger)
        if not parser.parse(self.source.data):
            errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
            reason = "; ".join(errors[:3]) or lines.reason()
            raise BackendError(f"{self.library.description} does not read {self.source.path}: {reason}")
        # A junk or empty file can parse as true, into a network of nothing.
        inputs = [network.get_input(index).name for index in range(network.num_inputs)]
        outputs = [network.get_output(index).name for index in range(network.num_outputs)]
        if (inputs, outputs) != ([INPUT], [OUTPUT]):
            raise BackendError(
                f"{self.library.description} read {self.source.path} as another network: expected the input "
                f"'{INPUT}' and the output '{OUTPUT}', found {inputs} and {outputs}"
            )
        return parser

    def _set_types(self, network: Any, config: Any) -> None:
        flags = self.library.module.BuilderFlag
        if not self.identity.is_tf32_allowed:
            config.clear_flag(flags.TF32)
        if self.library.is_strongly_typed or self.source.precision == "fp32":
            return
        config.set_flag(flags.FP16)
        config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)
        constrain_layer_types(self.library.module, network)

    def _set_sources(self, config: Any) -> None:
        # 9 and later bring their kernels along; TensorRT-RTX knows no sources.
        if self.library.is_strongly_typed or not hasattr(self.library.module, "TacticSource"):
            return
        missing = leave_out_missing_sources(self.library.module, config)
        if missing:
            self.report(f"{', '.join(missing)} cannot be loaded: building without their kernels")

    def _set_limits(self, config: Any) -> None:
        if self.identity.workspace_mib is not None:
            pool = self.library.module.MemoryPoolType.WORKSPACE
            config.set_memory_pool_limit(pool, self.identity.workspace_mib << 20)
        level = self.identity.optimization_level
        if level is None:
            return
        if not hasattr(config, "builder_optimization_level"):
            raise UsageError(
                f"{self.library.description} has no optimisation levels (8.6 and later have): leave it out"
            )
        config.builder_optimization_level = level

    def _limit_text(self) -> str:
        # The library's own message for too small a workspace speaks of memory alone.
        limit = self.identity.workspace_mib
        return "" if limit is None else f" within the workspace of {limit} MiB"

    def _set_target(self, config: Any) -> None:
        known = getattr(self.library.module, "ComputeCapability", None)
        if known is None:
            return
        # By name where it has one: that needs no GPU. CURRENT is the GPU at hand.
        wanted = self.identity.compute_capability
        target = getattr(known, wanted.upper(), known.CURRENT)
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(target, 0):
            raise BackendError(f"{self.library.description} does not build for {wanted}")

    def _add_profile(self, builder: Any, config: Any, lines: Recording) -> None:
        shapes = self.identity.profile
        profile = builder.create_optimization_profile()
        profile.set_shape(
            INPUT,
            *(
                (batch, 2, height, width)
                for batch, height, width in (shapes.minimum, shapes.optimum, shapes.maximum)
            ),
        )
        if config.add_optimization_profile(profile) < 0:
            raise self.library.failure(f"refuses the shapes {shapes}", lines)

    def _watched(self, config: Any, watch: BuildWatch) -> Any:
        if not hasattr(config, "progress_monitor"):
            return None
        monitor = create_monitor(self.library.module, watch)
        config.progress_monitor = monitor
        return monitor


def interruptible_compile(compiler: Compiler, lines_kept: Callable[[Recording], None]) -> bytes:
    """Compile; stop at Ctrl-C where the library can; hand over the log in any case.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the build has ended.
        BackendError: As Compiler.compile; and what the progress callback raised.
    """
    watch = BuildWatch(compiler.progress)
    library = compiler.library
    has_monitor = hasattr(library.module, "IProgressMonitor")

    def stop() -> None:
        watch.stop()
        if not has_monitor:
            text = (
                f"{library.description} cannot be stopped within a build: waiting for its end; press Ctrl-C "
                "again to end the whole program"
            )
            watch.guarded(lambda: compiler.report(text))

    with library.log.recording(None if has_monitor else watch.line) as lines:
        try:
            with held_interrupts(stop) as interrupts:
                try:
                    plan = compiler.compile(lines, watch)
                except BackendError:
                    # A stopped build gives no plan either: what stopped it is the news.
                    if watch.failure is None and not interrupts.is_pending:
                        raise
                    plan = b""
            if watch.failure is not None:
                raise watch.failure
        finally:
            lines_kept(lines)
    return plan
