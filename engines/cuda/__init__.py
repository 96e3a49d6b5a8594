"""The parts that work in the memory of an NVIDIA card: decode, preprocess, compose, encode."""
