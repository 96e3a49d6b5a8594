"""The share, claims, workers, configuration and the operator. Never touches codecs or tensors."""
