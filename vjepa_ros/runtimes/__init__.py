"""Other runtimes than torch: the model's parts as ONNX graphs, and what computes those."""
