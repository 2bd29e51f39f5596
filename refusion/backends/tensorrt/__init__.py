"""TensorRT and TensorRT-RTX: engines on disk, loaded safely, and the GPU path that runs them."""
