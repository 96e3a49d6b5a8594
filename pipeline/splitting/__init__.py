"""One recording in parts: detection tables in parallel, decisions in one go, segments in parallel.

The result is, packet for packet, that of ``pipeline.render_stream`` without parts on the same compute class. In the
order of the work: ``part`` plans the parts; ``part_worker`` detects (``recorder`` writes the ``table``); the
``conductor`` replays the tables (``replay``) and decides all rows; ``part_worker`` renders the segments.
"""
