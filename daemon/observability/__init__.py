"""Events, metrics, alerts and notifications.

Imports the packages up to `status`. Begin at `events.py`; `definitions.py` lists the metrics.
"""
