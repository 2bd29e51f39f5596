"""The steps of `refusion export`: ONNX, engine, model repository, each on the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusion.backends.tensorrt.library import Flavour, Library, available_flavours, load_library
from refusion.backends.tensorrt.shapes import ShapeProfile
from refusion.cli.progress import progress_bar
from refusion.errors import BackendError, RefusionError, UsageError
from refusion.files import make_folder
from refusion.gpus import find_gpus
from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import shipped_weights
from refusion.weights_file import refuse_other_model

if TYPE_CHECKING:
    from refusion.export.engine import BuiltEngine
    from refusion.export.onnx_model import ExportReport
    from refusion.export.onnx_source import OnnxSource
    from refusion.export.verification import Run

DEFAULT_SIZES = ("16x16", "480x640", "1080x1920")
"""Smallest, best and largest."""


@dataclass(frozen=True)
class Export:
    """What was asked for on the command line."""

    task: Task
    model: Model | None
    """None: full, or what the checkpoint holds."""
    precision: str
    checkpoint: Path | None
    onnx: Path | None
    sizes: tuple[str | None, str | None, str | None, str | None]
    """The only, the smallest, the best and the largest size, each HxW."""
    batch: int
    target: str | None
    workspace_mib: int | None
    optimization_level: int | None
    form: str
    folder: Path
    verification_pairs: tuple[Path, Path] | None
    force: bool

    @cached_property
    def profile(self) -> ShapeProfile:
        """The shapes that were asked for."""
        only, *range_ = self.sizes
        if only is not None:
            if any(range_):
                raise UsageError(
                    "--shape gives the only size: leave out --min-shape, --opt-shape, --max-shape"
                )
            return ShapeProfile.parse(minimum=only, optimum=only, maximum=only, batch=(self.batch,) * 3)
        minimum, optimum, maximum = (
            given or default for given, default in zip(range_, DEFAULT_SIZES, strict=True)
        )
        return ShapeProfile.parse(minimum=minimum, optimum=optimum, maximum=maximum, batch=(1, 1, self.batch))

    @property
    def weights(self) -> Path:
        """The checkpoint to export."""
        if self.checkpoint is None:
            return shipped_weights(self.task, self.model or Model.full).safetensors
        if self.model is not None:
            refuse_other_model(self.checkpoint, self.model)
        return self.checkpoint

    def write_onnx(self, *, library: Library | None = None, is_dynamic: bool = False) -> ExportReport:
        """Export the checkpoint, unless this very export is there already."""
        _require("torch", "onnx", "onnxsim")
        from refusion.export.onnx_model import OnnxForm, OnnxRequest, export_onnx, exported_before
        from refusion.export.precision import Precision

        profile = self.profile
        form = self.form if self.form != "auto" else library.onnx_form if library else "layernorm"
        request = OnnxRequest(
            self.weights,
            self.task,
            precision=Precision[self.precision],
            form=OnnxForm[form],
            shape=profile.optimum if profile.is_fixed and not is_dynamic else None,
        )
        if self.precision == "fp16" and self._is_for_turing(library):
            request = replace(request, half_products=True)
        make_folder(self.folder)
        path = self.folder / request.file_name()
        report = None if self.force else exported_before(request, path)
        if report is None:
            with progress_bar() as bar:
                report = export_onnx(
                    request,
                    path,
                    verification_pairs=self.verification_pairs,
                    track=lambda cases: bar.track(cases, description="verifying"),
                    force=self.force,
                )
        print(_onnx_line(report))
        return report

    def write_engine(self, flavour_name: str) -> None:
        """Build an engine; without the library the ONNX is written all the same, then the error raised."""
        from refusion.export.onnx_source import read_source

        if self.onnx is not None:
            read_source(self.onnx)  # its own error comes first
        flavour = Flavour.parse(flavour_name)
        library: Library | None = None
        missing: BackendError | None = None
        try:
            library = load_library(flavour)
        except BackendError as error:
            missing = error
        onnx = self.onnx or self.write_onnx(library=library).path
        if library is None:
            raise BackendError(f"no engine was built, the ONNX is kept ({onnx}): {missing}")
        try:
            self._build(onnx, library, self.profile)
        except RefusionError as error:
            raise type(error)(f"no engine was built, the ONNX is kept ({onnx}): {error}") from None

    def write_triton(self) -> None:
        """Write the model repository: the ONNX, and a plan where TensorRT can build one here."""
        from refusion.backends.triton.served_model import CHECKPOINT, MODEL, PRECISION, TASK, model_name
        from refusion.export.onnx_source import read_source
        from refusion.export.triton import TritonBackend, TritonModel, write_model_repository

        # Triton batches requests as they come: any number up to the largest, which a fixed model cannot take.
        asked = self.profile
        profile = ShapeProfile((1, *asked.minimum[1:]), (1, *asked.optimum[1:]), asked.maximum)
        make_folder(self.folder)
        onnx = self.onnx or self.write_onnx(is_dynamic=True).path
        source = read_source(onnx)
        name = source.task + Model[source.model].value.suffix
        identity = {
            TASK: source.task,
            MODEL: source.model,
            PRECISION: source.precision,
            CHECKPOINT: source.checkpoint_sha256,
        }
        onnx_name, plan_name = (
            model_name(source.task, Model[source.model], source.precision, runtime)
            for runtime in ("onnx", "tensorrt")
        )
        models = [
            TritonModel(
                onnx_name,
                TritonBackend.onnxruntime,
                onnx,
                profile,
                f"{name}, {source.precision}, any GPU or CPU; weights {source.checkpoint_sha256[:12]}",
                identity,
            )
        ]
        built = self._plan_for_triton(onnx, profile)
        if built is not None:
            built_for = built.record.identity
            models.append(
                TritonModel(
                    plan_name,
                    TritonBackend.tensorrt,
                    built.path,
                    profile,
                    f"{name}, {source.precision}; needs TensorRT {built_for.tensorrt_version} and "
                    f"{built_for.gpu_name} ({built_for.compute_capability})",
                    identity,
                )
            )
        for folder in write_model_repository(self.folder / "triton", models, force=self.force):
            print(f"wrote {folder}")

    def _plan_for_triton(self, onnx: Path, profile: ShapeProfile) -> BuiltEngine | None:
        if Flavour.tensorrt not in available_flavours() or not find_gpus().gpus:
            print("no plan was added: that needs TensorRT, and the GPU that will serve it")
            return None
        return self._build(onnx, load_library(Flavour.tensorrt), profile)

    def _is_for_turing(self, library: Library | None) -> bool:
        if library is None or library.flavour is not Flavour.tensorrt_rtx:
            return False
        gpus = find_gpus().gpus
        return (self.target or (gpus[0].sm if gpus else "")) == "sm75"

    def _build(self, onnx: Path, library: Library, profile: ShapeProfile) -> BuiltEngine:
        from refusion.export.engine import EngineRequest, build_engine
        from refusion.export.engine_verification import engine_verifier
        from refusion.export.onnx_source import read_source
        from refusion.export.precision import Precision

        source = read_source(onnx)
        request = EngineRequest(
            onnx=onnx,
            folder=self.folder,
            flavour=library.flavour,
            profile=profile,
            workspace_mib=self.workspace_mib,
            target=self.target,
            optimization_level=self.optimization_level,
            force=self.force,
        )
        with progress_bar() as bar:
            row = bar.add_task("building", total=None)

            def progress(fraction: float | None, phase: str) -> None:
                bar.update(row, description=phase, total=fraction and 1, completed=fraction or 0)

            verify: Callable[[Path], dict[str, Any]] | None = None
            if self.target is None:
                reference = self._reference(source)
                verify = engine_verifier(
                    reference,
                    profile,
                    Precision[source.precision],
                    track=lambda cases: bar.track(cases, description="verifying"),
                )
            built = build_engine(
                request,
                report=lambda line: bar.console.print(line, markup=False, highlight=False, soft_wrap=True),
                progress=progress,
                verify=verify,
                library=library,
            )
        print(_engine_line(built))
        return built

    def _reference(self, source: OnnxSource) -> Run:
        if self.onnx is None:
            from refusion.export.onnx_model import pytorch_runner
            from refusion.models.checkpoints import load_network

            return pytorch_runner(load_network(self.weights))
        # Without PyTorch the ONNX itself, whose own accuracy its export measured.
        from refusion.export.verification import onnxruntime_runner

        return onnxruntime_runner(source.data)


def _require(*modules: str) -> None:
    import importlib.util

    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(
            f"exporting a checkpoint needs {', '.join(missing)}: pip install 'refusion[export]'; on a device "
            "without them, export the ONNX elsewhere and give it with --onnx"
        )


def _accuracy_text(accuracy: dict[str, Any]) -> str:
    psnr_db = accuracy["lowest_psnr_db"]
    return (
        f"on {accuracy['inputs']} inputs at most {accuracy['largest_error']:.1e} from PyTorch in FP32, "
        + ("equal in 8 bits" if psnr_db is None else f"at least {psnr_db:.1f} dB in 8 bits")
    )


def _onnx_line(report: ExportReport) -> str:
    verb = "kept" if report.was_there else "wrote"
    return f"{verb} {report.path}: {report.nodes} nodes; {_accuracy_text(asdict(report.accuracy))}"


def _engine_line(built: BuiltEngine) -> str:
    verb = "kept" if built.was_there else "wrote"
    record = built.record
    line = f"{verb} {built.path}: {record.plan_bytes / 2**20:.1f} MiB, built in {record.build_seconds:.0f} s"
    if record.verification:
        return f"{line}; {_accuracy_text(record.verification)}"
    return f"{line}; not run here, it is for {record.identity.compute_capability}"
