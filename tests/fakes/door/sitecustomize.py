"""With this folder on PYTHONPATH, the first job of a service meets the trouble that the file ``TROUBLE`` plans.

The file is JSON, {"encoders": [1, 2]}: the n-th openings of an encoder at which a GPU would run out of memory. It is
removed by the worker that takes it.
"""

import functools
import json
import os
import sys
from pathlib import Path

if "daemon.worker.main" in sys.orig_argv and "TROUBLE" in os.environ:
    import pipeline.render_loop
    from engines.errors import DeviceOutOfMemoryError
    from tests.fakes.troubled import Plan

    def trouble() -> Exception:
        return DeviceOutOfMemoryError("The GPU ran out of memory while testing.")

    @functools.cache
    def plan() -> Plan:
        path = Path(os.environ["TROUBLE"])
        calls = json.loads(path.read_text()) if path.exists() else {}
        path.unlink(missing_ok=True)
        return Plan(**{kind: dict.fromkeys(numbers, trouble) for kind, numbers in calls.items()})

    pipeline.render_loop.open_backend = lambda *_, **__: plan().open()
