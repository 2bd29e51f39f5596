"""The client of a Triton Inference Server: the network runs there, pre- and post-processing here."""

__all__: list[str] = []
