"""HTML for people: status page, report page, their templates and their words in English and Korean.

Imports `daemon.errors` and the engines' errors only. Begin at `html.py`.
"""
