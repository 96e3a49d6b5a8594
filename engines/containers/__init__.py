"""Container files: opening, packets, the index of MP4, edit lists, channel layouts, and repair of damaged clocks.

Imports only the top level of `engines`. Begin at `demux.py`, then `sniff.py` and `edit_lists.py`.
"""
