"""Measurements on the share. Each kind of facts is a class that measures itself.

Imports the packages up to `share`. Begin at `target.py`, which defines what a measurement is; `main.py` is the
program that measures.
"""
