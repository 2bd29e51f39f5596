"""Export of checkpoints: PyTorch to ONNX, checked against PyTorch before anything is written."""

from refusion.export.onnx_model import ExportReport, export_onnx

__all__ = ["ExportReport", "export_onnx"]
