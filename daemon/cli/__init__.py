"""The command `dualface` and its subcommands.

Imports all packages; nothing imports it. A command imports what it needs when it runs, so that help appears at once.
Begin at `app.py`.
"""
