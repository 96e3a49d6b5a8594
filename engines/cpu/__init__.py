"""The CPU backend: PyAV, OpenCV, NumPy."""
