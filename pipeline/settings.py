"""Settings of one job: a profile, and the parts of the work it shapes. Every number has a unit and a range."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engines.settings import EncoderSettings, Section


class DetectSettings(Section):
    """How often and at what size faces are looked for."""

    rate_hz: Annotated[
        float,
        Field(ge=1, le=120, description="Detector runs per second of video; pictures between are interpolated",
              json_schema_extra={"unit": "1/s"}),
    ] = 10.0
    long_side: Annotated[
        int,
        Field(ge=160, le=1920, multiple_of=32, description="Longer side of the detector's input",
              json_schema_extra={"unit": "pixels"}),
    ] = 640
    score: Annotated[
        float, Field(gt=0, lt=1, description="Least confidence of a face", json_schema_extra={"unit": "score"})
    ] = 0.30


class LookaheadSettings(Section):
    """How far analysis runs ahead of rendering."""

    identity_s: Annotated[
        float,
        Field(ge=0.1, le=5, description="How long the decision who is who may wait for later pictures",
              json_schema_extra={"unit": "s"}),
    ] = 0.7
    camera_s: Annotated[
        float,
        Field(ge=0.1, le=5, description="How far the camera path sees ahead", json_schema_extra={"unit": "s"}),
    ] = 0.8
    pool_bytes: Annotated[
        int,
        Field(ge=2**25, le=2**34, description="Memory for pictures that wait; large pictures shorten the look-ahead",
              json_schema_extra={"unit": "bytes"}),
    ] = 402_653_184


class IdentitySettings(Section):
    """Tracking, recognition and the assignment of people to tiles."""


class CameraSettings(Section):
    """Framing and movement of the two virtual cameras."""

    face_share: Annotated[
        float,
        Field(ge=0.1, le=0.7, description="Height of the face in its tile; the picture and upscale_max may limit it",
              json_schema_extra={"unit": "fraction of the crop's height"}),
    ] = 0.33
    eye_line: Annotated[
        float,
        Field(ge=0.2, le=0.6, description="Where the eyes are in the tile, from the top",
              json_schema_extra={"unit": "fraction of the crop's height"}),
    ] = 0.36
    upscale_max: Annotated[
        float,
        Field(ge=1, le=20, description="How much a far face may be enlarged",
              json_schema_extra={"unit": "output pixels per source pixel"}),
    ] = 2.5
    face_margin: Annotated[
        float,
        Field(ge=0, le=0.5, description="Room that always stays between the face's box and the edge of the crop",
              json_schema_extra={"unit": "fraction of the face"}),
    ] = 0.10
    dead_zone: Annotated[
        float,
        Field(ge=0.01, le=0.3, description="How far the face may sway sideways before the camera follows",
              json_schema_extra={"unit": "fraction of the crop's width"}),
    ] = 0.09
    dead_zone_vertical: Annotated[
        float,
        Field(ge=0.01, le=0.3, description="How far the face may bob before the camera follows",
              json_schema_extra={"unit": "fraction of the crop's width"}),
    ] = 0.08
    zoom_tolerance: Annotated[
        float,
        Field(ge=0.02, le=0.5, description="How far the face's size may drift before the camera zooms",
              json_schema_extra={"unit": "fraction of the crop's width"}),
    ] = 0.18
    settle: Annotated[
        float,
        Field(ge=0.05, le=1, description="How close to the wanted framing a movement ends",
              json_schema_extra={"unit": "fraction of the dead zone"}),
    ] = 0.35
    speed_max: Annotated[
        float,
        Field(ge=0.1, le=20, description="Fastest pan", json_schema_extra={"unit": "crop widths per second"}),
    ] = 2.5
    acceleration_max: Annotated[
        float,
        Field(ge=0.1, le=50, description="Strongest acceleration of a pan",
              json_schema_extra={"unit": "crop widths per second squared"}),
    ] = 2.5
    bridge_s: Annotated[
        float,
        Field(ge=0, le=2, description="A face lost for no longer than this is waited for as if it had been there",
              json_schema_extra={"unit": "s"}),
    ] = 0.5
    unfreeze_s: Annotated[
        float,
        Field(ge=0, le=5, description="A frozen tile goes live once the other person stays out of it for this long",
              json_schema_extra={"unit": "s"}),
    ] = 0.4


class ProfileSettings(EncoderSettings):
    """Everything that shapes the output of the inboxes which name this profile."""

    assignment: Annotated[
        Literal["identity", "position"],
        Field(description="identity: a person keeps the tile; position: the left one of the moment is left"),
    ] = "identity"
    missing: Annotated[
        Literal["hold", "freeze"],
        Field(description="A tile whose person is away: hold the camera on the live picture, or freeze the last one"),
    ] = "hold"
    detect: DetectSettings = DetectSettings()
    lookahead: LookaheadSettings = LookaheadSettings()
    identity: IdentitySettings = IdentitySettings()
    camera: CameraSettings = CameraSettings()


class SegmentSettings(Section):
    """How the output is cut into parts that survive a crash."""

    seconds: Annotated[
        float, Field(ge=1, le=600, description="Length of a segment", json_schema_extra={"unit": "s"})
    ] = 10.0
