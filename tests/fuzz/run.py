"""Fuzzes the parsers of outside data, guided by the branches that they take.

    python tests/fuzz/run.py                        # the names of the targets
    python tests/fuzz/run.py calibration --seconds 60
    python tests/fuzz/run.py calibration --replay out/fuzz/calibration/crash-...

Each target begins with data that its parser accepts, made by code, and with what earlier runs found worth
keeping (out/fuzz/TARGET/corpus). It ends with exit status 0 after its time, or at the first input that makes
anything but RefusionError come out of the parser, takes more than 20 s or 4 GiB; that input is left in
out/fuzz/TARGET. Needs atheris (pip install atheris; Python 3.11 or later).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "fakes")]

SECONDS_AN_INPUT, MIB = 20, 4096


def main() -> None:
    """Fuzz one target."""
    options = _parser().parse_args()
    if options.target is None:
        from fuzz_targets import TARGETS

        print("\n".join(TARGETS))
        return
    if options.replay is not None:
        _replay(options.target, options.replay)
        return
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzzing needs atheris, which is not installed: pip install atheris (Python 3.11 or later)")
    _fuzz(options.target, options.folder / options.target, options.seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", nargs="?", help="which parser; without it, all names are printed")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--folder", type=Path, default=Path("out/fuzz"), help="where findings are left")
    parser.add_argument("--replay", type=Path, help="give one input to the parser, and do not fuzz")
    return parser


def _replay(name: str, path: Path) -> None:
    from fuzz_targets import TARGETS

    with tempfile.TemporaryDirectory() as work, TARGETS[name].tolerant(Path(work)) as parse:
        print("accepted" if parse(path.read_bytes()) else "refused")


def _fuzz(name: str, folder: Path, seconds: int) -> None:
    import atheris

    # Read when OpenCV is loaded. Its own limit, 2^30 pixels, takes most of the memory that an input may.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))
    # The parsers must be imported under instrumentation, which is chosen by the target: so it is looked up
    # twice, the first time in a process of its own.
    modules = _modules(name)
    with atheris.instrument_imports(include=list(modules)):
        from fuzz_targets import TARGETS
        from fuzz_targets.mutation import spoil

        for module in modules:
            importlib.import_module(module)  # also what parsers import in their functions
    target = TARGETS[name]
    logging.disable(logging.CRITICAL)  # a line for each refusal, thousands a second
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    stack = ExitStack()
    work = stack.enter_context(tempfile.TemporaryDirectory())
    parse = stack.enter_context(target.tolerant(Path(work)))

    def take(data: bytes) -> None:
        parse(data)

    def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
        return spoil(data, seed)[:most_bytes] if seed % 2 else atheris.Mutate(data, most_bytes)

    mutators = {"custom_mutator": mutate} if target.is_text else {}
    arguments = [sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-max_len={target.longest_bytes}"]
    arguments += [f"-artifact_prefix={folder}/", f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MIB}"]
    atheris.Setup([*arguments, "-print_final_stats=1"], take, **mutators)
    atheris.Fuzz()


def _modules(name: str) -> tuple[str, ...]:
    """Return the modules that guide a target, without importing them here."""
    code = f"from fuzz_targets import TARGETS; print('\\n'.join(TARGETS[{name!r}].modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path[:2]!r}; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"there is no target {name}, or it cannot run here: {done.stderr.strip().splitlines()[-1]}")
    return tuple(done.stdout.split())


if __name__ == "__main__":
    main()
