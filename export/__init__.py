"""Export of checkpoints: PyTorch to ONNX, checked against PyTorch before anything is written; then engines.

`refusion.export.onnx_model` needs torch. `refusion.export.engine` does not: a device without torch can build
an engine from an ONNX file.
"""
