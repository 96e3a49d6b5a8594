"""Identity: tracks, tracklets, the two leading people, recognition and assignment to tiles.

May import the engines' data types and the top-level modules of `pipeline`, no other package of it. Begin at
`resolver.py`, which calls the other modules frame by frame.
"""
