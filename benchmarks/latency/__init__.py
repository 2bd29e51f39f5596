"""How long fusing takes: the network alone, a pair, two videos; against baselines, in turns with ours.

`refusion bench latency` is the command; `run` in `refusion.benchmarks.latency.run` is what it calls.
"""

FORMAT = "refusion latency 1"
"""Of reports of latency."""
