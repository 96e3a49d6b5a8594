"""The report, the contact sheet, the debug video and the plots.

Imports the packages whose results it shows: rendering, segments, degradation and telemetry. Begin at `model.py`.
"""
