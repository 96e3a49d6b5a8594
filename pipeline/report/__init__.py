"""The report, the contact sheet, the debug video and the plots.

Imports the results of the other packages. Begin at `model.py`.
"""
