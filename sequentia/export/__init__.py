"""Model -> files for other software: one file per format."""

from sequentia.export.gpt2 import export_gpt2, push
from sequentia.export.html import export_html
from sequentia.export.onnx import export_onnx

__all__ = ["export_gpt2", "export_html", "export_onnx", "push"]
