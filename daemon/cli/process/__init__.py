"""``dualface process``: recordings named on the command line, worked on without the service.

Imports what the rest of ``daemon.cli`` imports. Begin at ``batch``.
"""
