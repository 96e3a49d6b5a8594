"""What hosts tell people and each other: the status model, its files and who is alive.

Imports the packages up to `jobs`. Begin at `model.py`.
"""
