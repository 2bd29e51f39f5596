"""Kills commands at random moments (kill -9), begins them again, and looks for what was lost.

    python tests/soak/kills.py --kills 40 --json kills.json            # of each command
    python tests/soak/kills.py --kills 40 --only fuse --only train

A command is run whole once: that takes its time, and gives what it must come to. Then it is started, killed
with all its children between its start and the end of that time, and started again, four times; the fifth
time it is let finish. After each kill: what was there before is there, what is there is whole, and
what was reported is on disk. At the end: what it came to is what the whole run came to. A kill counts if the
command was still running. Exit status 1 if anything was lost, or the next run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kill_scenarios import SCENARIOS, Scenario, clean

_KILLS_A_RUN = 4
_TIMEOUT_S = 300.0


@dataclass
class Outcome:
    """What became of one command."""

    name: str
    whole_run_s: float
    kills: int = 0
    finished_runs: int = 0
    moments_s: list[float] = field(default_factory=list)
    """Of the kills, after the start."""
    problems: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, and judge."""
    options = _parser().parse_args()
    chosen = [one for one in SCENARIOS if not options.only or one.name in options.only]
    chance = random.Random(options.seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        for scenario in chosen:
            outcome = _outcome(scenario, Path(folder) / scenario.name, options.kills, chance)
            print(
                f"{outcome.name}: {outcome.kills} kills, {outcome.finished_runs} runs finished after them, "
                f"{len(outcome.problems)} problems (whole run: {outcome.whole_run_s:.1f} s)",
                flush=True,
            )
            for problem in outcome.problems:
                print(f"  {problem}", file=sys.stderr)
            outcomes.append(outcome)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    sys.exit(1 if any(one.problems for one in outcomes) else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [one.name for one in SCENARIOS]
    parser.add_argument("--kills", type=int, default=40, help="of each command (default: 40)")
    parser.add_argument("--only", action="append", choices=names, help="this command alone; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="picks the moments")
    parser.add_argument("--json", type=Path, help="write all figures")
    return parser


def _outcome(scenario: Scenario, folder: Path, kills: int, chance: random.Random) -> Outcome:
    whole, work = folder / "whole", folder / "work"
    scenario.prepare(whole)
    started = time.monotonic()
    _finish(scenario, whole)
    outcome = Outcome(scenario.name, time.monotonic() - started)
    if not scenario.done(whole):
        raise SystemExit(f"{scenario.name} comes to nothing, even if nobody kills it")
    while outcome.kills < kills:
        clean(work)
        scenario.prepare(work)
        for _ in range(min(_KILLS_A_RUN, kills - outcome.kills)):
            _kill(scenario, work, whole, outcome, chance)
        try:
            _finish(scenario, work)
            outcome.finished_runs += 1
        except subprocess.CalledProcessError as error:
            outcome.problems.append(f"the next run failed with {error.returncode}: {error.stderr[-500:]}")
            continue
        outcome.problems += scenario.different(work, whole)
        # Over what is finished, too: it must not be lost to a run that is killed.
        _kill(scenario, work, whole, outcome, chance)
    return outcome


def _kill(scenario: Scenario, work: Path, whole: Path, outcome: Outcome, chance: random.Random) -> None:
    before = scenario.done(work)
    after_s = chance.uniform(0.0, outcome.whole_run_s)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            scenario.command(work),
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            outcome.kills += 1
            outcome.moments_s.append(round(after_s, 3))
        output.seek(0)
        printed = output.read()
    if process.returncode not in (0, -signal.SIGKILL):
        outcome.problems.append(f"it ended with {process.returncode} before it could be killed")
    moment = f"killed after {after_s:.3f} s: "
    outcome.problems += [moment + what for what in scenario.lost(work, before, whole, printed)]


def _finish(scenario: Scenario, work: Path) -> None:
    subprocess.run(
        scenario.command(work), cwd=work, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S
    )


if __name__ == "__main__":
    main()
