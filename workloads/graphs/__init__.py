"""ONNX graphs: read with care, run on inputs by onnxruntime, their products found, new weights put back."""
