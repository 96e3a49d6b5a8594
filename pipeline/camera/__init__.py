"""The virtual cameras, of each tile and of the full frame: framing, paths and their solver.

Imports `pipeline.people`, settings and `engines.frames`. Begin at `planner.py`, then `tile_camera.py`; `framing.py`
defines a good crop, `camera_path.py` the path between crops.
"""
