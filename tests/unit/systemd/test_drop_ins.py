"""The units, and the drop-ins that open what features need: valid, and well confined with all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNIT = SYSTEMD / "dualface.service"
NODE = SYSTEMD / "dualface-node.service"
DROP_INS = sorted(SYSTEMD.glob("dualface-*.conf"))


def test_each_feature_that_the_unit_keeps_out_has_its_drop_in() -> None:
    assert [path.name for path in DROP_INS] == [
        "dualface-cluster.conf", "dualface-metrics.conf", "dualface-notify.conf", "dualface-textfile.conf",
    ]  # fmt: skip


@pytest.mark.parametrize(("unit_file", "drop_ins"), [(UNIT, DROP_INS), (NODE, [])])
def test_a_unit_with_all_its_drop_ins_is_valid_and_well_confined(
    tmp_path: Path, unit_file: Path, drop_ins: list[Path]
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here; CI installs it")
    unit, folder = tmp_path / unit_file.name, tmp_path / f"{unit_file.name}.d"
    unit.write_text(unit_file.read_text().replace("/opt/dualface/bin/dualface", sys.executable))
    folder.mkdir()
    for path in drop_ins:
        shutil.copy(path, folder)
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, env=environment
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    confined = ["systemd-analyze", "security", "--offline=true", "--threshold=35", "--no-pager", str(unit)]
    subprocess.run(confined, check=True, capture_output=True, env=environment)
