"""An ONNX file with numbers of fewer bits: half precision, or eight bits with a scale for each row of a weight."""

from __future__ import annotations

from pathlib import Path

from headstart.export.graph import silence
from headstart.prediction.export_facts import Precision


def write_smaller(full: Path, file: Path, precision: Precision) -> None:
    """Write the file of `full` (fp32) in another precision."""
    with silence():
        if precision == "fp16":
            write_half(full, file)
        else:
            write_quantized(full, file)


def write_half(full: Path, file: Path) -> None:
    """All weights and products in fp16; what goes in and comes out stays as it is."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(full), keep_io_types=True), file)


def write_quantized(full: Path, file: Path) -> None:
    """Weights of products and embeddings in eight bits, a scale for each column; what they are multiplied with is
    quantized as it comes.

    Dynamic quantization needs no rows to calibrate it (onnxruntime's documentation recommends it for transformers).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(full, file, per_channel=True, weight_type=QuantType.QInt8)
