"""`refusion train` as a module, which torchrun starts on each of its processes."""

from __future__ import annotations

from refusion.cli import train_main

train_main()
