"""Container files as demuxers read them: opening, packets, index, edit lists, and clocks that need repair.

Imports the top level of `engines` only. Begin at `demux.py`.
"""
