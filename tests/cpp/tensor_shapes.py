"""Prints the shapes of both networks' tensors, for thread_driver.cpp: NAME DIMENSIONS SIZE... a line."""

from __future__ import annotations

from safetensors.numpy import load_file

from refusion.models import Model
from refusion.tasks import Task
from refusion.weights import shipped_weights

for model in (Model.full, Model.lite):
    for name, value in load_file(shipped_weights(Task.ivif, model).safetensors).items():
        print(name, value.ndim, *value.shape)
    print("end 0")
