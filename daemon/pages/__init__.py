"""HTML for people: status page and report page, their templates, and their texts in English and Korean.

Imports nothing of `daemon`; `report_page.py` reads what `pipeline` has written. Begin at `html.py`.
"""
