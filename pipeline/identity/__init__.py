"""Who is who: tracks, tracklets, the two leading people, recognition and assignment to tiles.

Imports `detection`'s types only through `pipeline.people`. Begin at `resolver.py`.
"""
