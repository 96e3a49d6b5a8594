"""The parts that work in the memory of an NVIDIA GPU: decode, preprocess, compose, encode."""
