"""Settings of one job: its profile, segments and degradation. Every number has a unit and a range."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from engines.settings import EncoderSettings, Section


class DetectSettings(Section):
    """How often and at what size faces are detected."""

    rate_hz: Annotated[
        float,
        Field(
            ge=1,
            le=120,
            description="Detector runs per second of video; frames between are interpolated",
            json_schema_extra={"unit": "1/s"},
        ),
    ] = 10.0
    calm_rate_hz: Annotated[
        float,
        Field(
            ge=1,
            le=120,
            description="The same while nobody comes near another or leaves; at most rate_hz",
            json_schema_extra={"unit": "1/s"},
        ),
    ] = 5.0
    long_side: Annotated[
        int,
        Field(
            ge=160,
            le=1920,
            multiple_of=32,
            description="Longer side of the detector's input",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 640
    score: Annotated[
        float, Field(gt=0, lt=1, description="Least confidence of a face", json_schema_extra={"unit": "score"})
    ] = 0.30


class LookaheadSettings(Section):
    """How far analysis runs ahead of rendering."""

    identity_s: Annotated[
        float,
        Field(
            ge=0.1,
            le=5,
            description="How long the decision who is who may wait for later frames",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.7
    camera_s: Annotated[
        float,
        Field(ge=0.1, le=5, description="How far the camera path sees ahead", json_schema_extra={"unit": "s"}),
    ] = 0.8
    pool_bytes: Annotated[
        int,
        Field(
            ge=2**25,
            le=2**34,
            description="Memory for frames that wait; large frames shorten the look-ahead",
            json_schema_extra={"unit": "bytes"},
        ),
    ] = 402_653_184


class IdentitySettings(Section):
    """Tracking, recognition and the assignment of people to tiles."""

    high_score: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Confidence from which a face may begin a track; fainter ones only continue one",
            json_schema_extra={"unit": "score"},
        ),
    ] = 0.50
    lost_s: Annotated[
        float,
        Field(
            gt=0,
            le=2,
            description="How long a track waits for its face; later it is a new arrival",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.45
    gap_s: Annotated[
        float,
        Field(
            gt=0,
            le=5,
            description="Longest gap in a person's path that is filled by interpolation",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.70
    contact_margin: Annotated[
        float,
        Field(
            ge=0,
            le=2,
            description="Faces nearer than this, in parts of their size, may be mistaken for each other",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.12
    stable_s: Annotated[
        float,
        Field(
            gt=0,
            le=5,
            description="How long a face must stay before it can be one of the two people",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.35
    least_height: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Smallest face of the two people, in parts of the frame's height",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.025
    least_size_ratio: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="A face this much smaller than the other person's is a bystander at first",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.40
    bystander_s: Annotated[
        float,
        Field(
            gt=0,
            le=60,
            description="How long a small face must stay, and stay put, to be taken for the second person",
            json_schema_extra={"unit": "s"},
        ),
    ] = 3.0
    reidentify: Annotated[
        bool, Field(description="Compare face embeddings where an exchange of the two people is suspected")
    ] = True
    stranger_distance: Annotated[
        float,
        Field(
            gt=0,
            le=2,
            description="Faces whose mean embedding is farther from a person's than this are of somebody else",
            json_schema_extra={"unit": "Euclidean distance"},
        ),
    ] = 0.41
    embedding_spread: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Standard deviation of distances between mean embeddings: larger trusts faces less",
            json_schema_extra={"unit": "Euclidean distance"},
        ),
    ] = 0.12
    least_embedded_height: Annotated[
        int,
        Field(
            ge=16, le=400, description="Smallest face whose embedding is taken", json_schema_extra={"unit": "pixels"}
        ),
    ] = 36
    gallery_views: Annotated[
        int,
        Field(
            ge=1,
            le=16,
            description="Embeddings kept per person and direction of the head",
            json_schema_extra={"unit": "views"},
        ),
    ] = 4
    reid_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of frames that may be embedded only to know a person from more sides",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.05
    position_smoothing: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Position mode: weight of the newest frame in the mean of a face's centre",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.30
    position_residence_frames: Annotated[
        int,
        Field(
            ge=1,
            le=600,
            description="Position mode: frames that people stay exchanged before the tiles follow",
            json_schema_extra={"unit": "frames"},
        ),
    ] = 15
    position_margin: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Position mode: distance past each other, in parts of the frame's width",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.10


class CameraSettings(Section):
    """Framing and movement of the two virtual cameras."""

    face_share: Annotated[
        float,
        Field(
            ge=0.1,
            le=0.7,
            description="Height of the face in its tile; the frame and upscale_max may limit it",
            json_schema_extra={"unit": "fraction of the crop's height"},
        ),
    ] = 0.28
    eye_line: Annotated[
        float,
        Field(
            ge=0.2,
            le=0.6,
            description="Where the eyes are in the tile, from the top",
            json_schema_extra={"unit": "fraction of the crop's height"},
        ),
    ] = 0.36
    upscale_max: Annotated[
        float,
        Field(
            ge=1,
            le=20,
            description="How much a far face may be enlarged; in sources of few lines the limit is 1.5 times the scale "
            "of their whole height where that is more",
            json_schema_extra={"unit": "output pixels per source pixel"},
        ),
    ] = 2.5
    face_margin: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Room that always stays between the face's box and the edge of the crop",
            json_schema_extra={"unit": "fraction of the face"},
        ),
    ] = 0.10
    dead_zone: Annotated[
        float,
        Field(
            ge=0.01,
            le=0.3,
            description="How far the face may sway sideways before the camera follows",
            json_schema_extra={"unit": "fraction of the crop's width"},
        ),
    ] = 0.13
    dead_zone_vertical: Annotated[
        float,
        Field(
            ge=0.01,
            le=0.3,
            description="How far the face may bob before the camera follows",
            json_schema_extra={"unit": "fraction of the crop's width"},
        ),
    ] = 0.11
    zoom_tolerance: Annotated[
        float,
        Field(
            ge=0.02,
            le=0.5,
            description="How far the face's size may drift before the camera zooms",
            json_schema_extra={"unit": "fraction of the crop's width"},
        ),
    ] = 0.18
    settle: Annotated[
        float,
        Field(
            ge=0.05,
            le=1,
            description="How close to the wanted framing a movement ends",
            json_schema_extra={"unit": "fraction of the dead zone"},
        ),
    ] = 0.6
    speed_max: Annotated[
        float,
        Field(ge=0.1, le=20, description="Fastest pan", json_schema_extra={"unit": "crop widths per second"}),
    ] = 2.5
    acceleration_max: Annotated[
        float,
        Field(
            ge=0.1,
            le=50,
            description="Strongest acceleration of a pan",
            json_schema_extra={"unit": "crop widths per second squared"},
        ),
    ] = 2.5
    bridge_s: Annotated[
        float,
        Field(
            ge=0,
            le=2,
            description="Longest loss of a face that the camera's path spans, at most the look-ahead",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.8
    hold_s: Annotated[
        float,
        Field(
            ge=0,
            le=86400,
            description="missing: hold: how long a tile waits live for somebody who is away before it freezes",
            json_schema_extra={"unit": "s"},
        ),
    ] = 1.0
    unfreeze_s: Annotated[
        float,
        Field(
            ge=0,
            le=5,
            description="A frozen tile goes live once the other person stays out of it for this long",
            json_schema_extra={"unit": "s"},
        ),
    ] = 0.4


class ProfileSettings(EncoderSettings):
    """All settings that shape the output of the inboxes with this profile."""

    encoder_busy: Annotated[
        Literal["wait", "x264"],
        Field(description="NVENC has no free session, and encoder is auto: wait device.nvenc_wait_s, or x264 at once"),
    ] = "wait"
    assignment: Annotated[
        Literal["identity", "position"],
        Field(description="identity: a person keeps the tile; position: the left one of the moment is left"),
    ] = "identity"
    missing: Annotated[
        Literal["hold", "freeze"],
        Field(
            description="A tile whose person is away: hold the camera on the live frame for camera.hold_s,"
            " then freeze the last good one; or freeze it at once"
        ),
    ] = "hold"
    audio: Annotated[
        Literal["auto", "copy", "aac", "aac-stereo"],
        Field(
            description="auto: AAC is copied, all else becomes AAC; copy: what MP4 holds is copied, some of which "
            "QuickTime and phones do not play; aac, aac-stereo: all is encoded anew"
        ),
    ] = "auto"
    loudness_lufs: Annotated[
        Literal["source"] | Annotated[float, Field(ge=-40, le=-5)],
        Field(
            description="Integrated loudness of every audio stream (EBU R 128), -23 for example; source leaves it",
            json_schema_extra={"unit": "LUFS"},
        ),
    ] = "source"
    join: Annotated[
        Literal["auto", "never"],
        Field(description="auto: the parts into which a camera cuts one recording become one job; never: one by one"),
    ] = "auto"
    max_fps: Annotated[
        float,
        Field(
            ge=1,
            le=120,
            description="Highest frame rate of the output; faster sources are thinned",
            json_schema_extra={"unit": "1/s"},
        ),
    ] = 60.0
    frame_rate: Annotated[
        Literal["source", "constant"],
        Field(description="source: the source's own frame times; constant: frames repeated or dropped to an even rate"),
    ] = "source"
    detect: DetectSettings = DetectSettings()
    lookahead: LookaheadSettings = LookaheadSettings()
    identity: IdentitySettings = IdentitySettings()
    camera: CameraSettings = CameraSettings()

    @model_validator(mode="after")
    def _copied_audio_keeps_its_loudness(self) -> ProfileSettings:
        if self.audio == "copy" and self.loudness_lufs != "source":
            raise ValueError("audio: copy cannot bring audio to loudness_lufs; take audio: auto, or leave that out")
        return self


class SegmentSettings(Section):
    """How the output is cut into segments, from which a killed job resumes."""

    seconds: Annotated[
        float, Field(ge=1, le=600, description="Length of a segment", json_schema_extra={"unit": "s"})
    ] = 10.0


LevelName = Literal["normal", "downscale", "frame_skip", "pause"]


def _lowest(what: str) -> Any:
    return Field(description=f"Lowest level that {what} may lead to; normal: none")


class LowestLevelSettings(Section):
    """The lowest level to which each kind of trigger may lead. An error that leads no further fails the attempt."""

    out_of_memory: Annotated[LevelName, _lowest("too little memory, the GPU's or the host's,")] = "pause"
    vram_guard: Annotated[LevelName, _lowest("a GPU fuller than device.vram_guard")] = "pause"
    decoder_errors: Annotated[LevelName, _lowest("frames that cannot be decoded")] = "frame_skip"
    frame_latency: Annotated[LevelName, _lowest("slow work")] = "frame_skip"


class DegradationSettings(Section):
    """When and how the work on a file is reduced before it fails. Without a trigger, none of it shapes the output."""

    cool_down_s: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="Least time between two changes of the level; doubled with each trigger in a row",
            json_schema_extra={"unit": "s"},
        ),
    ] = 10.0
    cool_down_longest_s: Annotated[
        float, Field(gt=0, le=86400, description="Longest cool-down after a trigger", json_schema_extra={"unit": "s"})
    ] = 300.0
    probation_segments: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Segments without a trigger that lead one level up",
            json_schema_extra={"unit": "segments"},
        ),
    ] = 3
    pauses_max: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Pauses in a row without a finished segment before the attempt fails",
            json_schema_extra={"unit": "pauses"},
        ),
    ] = 2
    surface_pixels: Annotated[
        int,
        Field(
            ge=160 * 90,
            le=2**26,
            description="downscale: most pixels of a working frame",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 1280 * 720
    detector_long_side: Annotated[
        int,
        Field(
            ge=160,
            le=1920,
            multiple_of=32,
            description="downscale: most of the detector input's longer side",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 320
    decoder_error_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of undecodable frames in a segment from which the level is lowered",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.5
    frame_latency_s: Annotated[
        float,
        Field(
            gt=0,
            le=86400,
            description="Median time that all stages together spend on a frame above which the level is lowered",
            json_schema_extra={"unit": "s"},
        ),
    ] = 10.0
    disk_low_bytes: Annotated[
        int,
        Field(
            ge=0,
            le=2**50,
            description="A job waits while less is free on the disk of its directory",
            json_schema_extra={"unit": "bytes"},
        ),
    ] = 2**28
    disk_wait_s: Annotated[
        float,
        Field(
            gt=0,
            le=86400,
            description="How long an attempt waits for space: the service then tries again by itself,"
            " `dualface process` gives up",
            json_schema_extra={"unit": "s"},
        ),
    ] = 120.0
    lowest: LowestLevelSettings = LowestLevelSettings()
