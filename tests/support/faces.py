"""One face under many conditions."""

from __future__ import annotations

import cv2
import numpy as np


def variants(frame: np.ndarray) -> dict[str, np.ndarray]:
    """The frame as it is, and mirrored, darker, brighter, smaller, larger, turned, noisy and compressed."""
    height, width = frame.shape[:2]
    noise = np.random.default_rng(1).normal(0, 10, frame.shape)
    packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return {
        "plain": frame,
        "mirrored": np.ascontiguousarray(frame[:, ::-1]),
        "darker": cv2.convertScaleAbs(frame, alpha=0.55),
        "brighter": cv2.convertScaleAbs(frame, alpha=1.2, beta=10),
        "half": cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA),
        "triple": cv2.resize(frame, (width * 3, height * 3), interpolation=cv2.INTER_CUBIC),
        "turned": cv2.warpAffine(frame, cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1), (width, height)),
        "noisy": np.clip(frame + noise, 0, 255).astype(np.uint8),
        "compressed": cv2.imdecode(packed, cv2.IMREAD_COLOR),
    }
