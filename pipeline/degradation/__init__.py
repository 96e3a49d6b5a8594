"""How much work is done when memory, decoding or time run short.

Imports settings and checkpoints. Begin at `level_ladder.py`.
"""
