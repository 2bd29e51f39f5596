"""Minutes of clients on a Triton server that is killed and held up: no frame may be lost, or be another's.

    REFUSION_TRITON_SERVER=/opt/tritonserver/bin/tritonserver python tests/soak/triton_outages.py --minutes 5

Clients, half of them over shared memory and half over the network, fuse frames of their own, all different,
and compare each with the local result. Meanwhile the server is killed (kill -9) and started again, or stopped
(SIGSTOP) for longer than the clients' deadline and continued: then it answers what nobody waits for any more.
Exit status 1 if a frame was wrong or given up, or if the server kept regions.

Not part of the test suite: it takes its time. The server's command is as in tests/fakes/real_triton.py.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from refusion import Fuser, RefusionError
from refusion.export.triton import write_model_repository
from refusion.frames import Frame
from refusion.models import Model
from refusion.stream.synthetic import SyntheticScene

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
from real_triton import RealServer
from triton_repository import served

FRAMES = 20
"""Different ones, of each client."""
DEADLINE_S = 1.0
HELD_UP_S = 2.5
RETRY_S = 60.0
PAUSE_S = (1.0, 4.0)
"""Between two outages."""


@dataclass
class Outages:
    """What was done to the server, and what the clients saw."""

    kills: int = 0
    stops: int = 0
    crashes: int = 0
    """How often it ended by itself: Triton's Python backend does not survive being stopped at any moment."""
    frames: int = 0
    wrong: int = 0
    given_up: list[str] = field(default_factory=list)
    longest_wait_s: float = 0.0
    regions_left: int = 0


class Client(threading.Thread):
    """Fuses its frames round and round, and compares."""

    def __init__(self, number: int, address: str, ended: threading.Event) -> None:
        super().__init__(name=f"client {number}")
        way = ("on", "off")[number % 2]
        self._url = f"{address}?shared_memory={way}&deadline_s={DEADLINE_S}&retry_s={RETRY_S}"
        scene = SyntheticScene(seed=number, width_px=64 + 16 * (number // 2), height_px=48)
        self._pairs = [scene.pair(4 * index) for index in range(FRAMES)]
        with Fuser("ivif", model="lite", device="cpu", threads=1) as fuser:
            self._expected = [fuser(pair.a, pair.b) for pair in self._pairs]
        self._ended = ended
        self.frames = self.wrong = 0
        self.given_up: list[str] = []
        self.longest_wait_s = 0.0

    @property
    def are_different(self) -> bool:
        """Whether any two of its frames could be told apart."""
        return all(
            levels_apart(one, other) > 1
            for index, one in enumerate(self._expected)
            for other in self._expected[:index]
        )

    def run(self) -> None:
        """Fuse until the end."""
        with Fuser("ivif", model="lite", backend="triton", url=self._url) as fuser:
            while not self._ended.is_set():
                for pair, expected in zip(self._pairs, self._expected, strict=True):
                    began_s = time.monotonic()
                    try:
                        self.wrong += levels_apart(fuser(pair.a, pair.b), expected) > 1
                    except RefusionError as error:
                        self.given_up.append(str(error))
                    self.frames += 1
                    self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - began_s)


def levels_apart(one: Frame, other: Frame) -> int:
    """Return the largest difference in gray levels."""
    return int(np.abs(one.astype(np.int16) - other).max())


def main() -> None:
    """Run the soak and judge it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of when the server is away, and how")
    parser.add_argument("--json", type=Path, help="write the figures")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        write_model_repository(repository, [served(Model.lite)], force=False)
        server = RealServer(repository)
        try:
            figures = _disturb(server, options.clients, 60 * options.minutes, random.Random(options.seed))
        finally:
            server.kill()
    text = json.dumps(asdict(figures), indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    sys.exit(1 if figures.wrong or figures.given_up or figures.regions_left else 0)


def _disturb(server: RealServer, clients: int, seconds: float, chance: random.Random) -> Outages:
    ended = threading.Event()
    running = [Client(number, server.address, ended) for number in range(clients)]
    if not all(client.are_different for client in running):
        raise SystemExit("the frames of a client are too much alike to tell one from the other")
    for client in running:
        client.start()
    outages = Outages()
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(chance.uniform(*PAUSE_S))
        if chance.random() < 0.5:
            server.kill()
            server.start()
            outages.kills += 1
        else:
            server.hold_up(HELD_UP_S)
            outages.stops += 1
        _restart_if_crashed(server, outages)
    ended.set()
    for client in running:
        while client.is_alive():
            client.join(1.0)
            _restart_if_crashed(server, outages)
        outages.frames += client.frames
        outages.wrong += client.wrong
        outages.given_up += client.given_up
        outages.longest_wait_s = max(outages.longest_wait_s, round(client.longest_wait_s, 2))
    outages.regions_left = server.region_count()
    return outages


def _restart_if_crashed(server: RealServer, outages: Outages) -> None:
    """Do what a supervisor does."""
    if not server.is_running:
        server.kill()
        server.start()
        outages.crashes += 1


if __name__ == "__main__":
    main()
