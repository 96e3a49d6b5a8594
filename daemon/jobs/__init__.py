"""One job on the share: claim, manifest, order, attempts, delivery, recovery, and what follows from trouble.

Imports the packages before it (config, share, worker, inbox). Begin at `manifest.py` and `claim.py`, then
`fault_policy.py` and `delivery.py`.
"""
