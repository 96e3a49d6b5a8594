"""One job: frames in, tiles out. Knows nothing of folders on the share, hosts or systemd.

Begin at `runner.py`. Packages import only from those named before them: telemetry; identity, camera; segments;
degradation; detection; rendering; report. `workdir`, `settings`, `people`, `job` and `errors` are below all of them.
"""
