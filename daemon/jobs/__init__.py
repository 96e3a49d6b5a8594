"""One job on the share: claim, manifest, order, delivery, recovery and what follows from its end.

Imports the packages before it (config, share, worker, inbox). Begin at `claim.py`, then `delivery.py`.
"""
