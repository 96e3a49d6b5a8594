"""The command `dualface`. Each command imports what it needs when it runs.

Imports everything; nothing imports it. Begin at `app.py`.
"""
