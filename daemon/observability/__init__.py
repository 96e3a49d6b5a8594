"""Events of the service, and their listeners: metrics, the activity log, alerts to people.

Imports the packages up to `status`. Begin at `events.py`. `definitions.py` lists the metrics, and
`alerts.py` decides when a message is sent.
"""
