"""Streams of frame pairs: where they come from, how they are paired, and where fused frames go."""

__all__: list[str] = []
