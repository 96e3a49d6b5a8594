"""Results that are assembled anew from a recording, without the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engines.audio.outcome import AudioOutcome
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import Prescan, prescan
from engines.cpu.decode import PyAvDecoder
from engines.cpu.encode import X264Encoder
from engines.frames import EncodedPacket, Frame, MediaInfo
from engines.media.mux import assemble_mp4
from engines.media.probe import probe
from engines.media.verify import verify_mp4
from engines.settings import EncoderSettings
from tests.support.sync import by_time_stamps

SETTINGS = EncoderSettings(preset="veryfast")
AUTO = AudioPolicy()


def flashes_and_beeps(path: Path, audio_stream: int = 0) -> tuple[list[float], list[float]]:
    """When frames turn white and when audio sets in, in seconds of the file's own timeline."""
    heard = by_time_stamps(path, audio_stream)
    return heard.flashes, heard.beeps


def segments(info: MediaInfo, frames: Iterator[Frame], length: int) -> Iterator[tuple[list[EncodedPacket], bytes]]:
    """Encode every ``length`` frames with a fresh encoder."""
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == length:
            yield _segment(info, batch)
            batch = []
    if batch:
        yield _segment(info, batch)


def _segment(info: MediaInfo, frames: list[Frame]) -> tuple[list[EncodedPacket], bytes]:
    video = info.video
    encoder = X264Encoder(
        frames[0].width,
        frames[0].height,
        time_base=video.time_base,
        fps=video.fps,
        color=video.color,
        settings=SETTINGS,
        threads=2,
    )
    packets = [p for frame in frames for p in encoder.encode(frame)]
    return packets + encoder.flush(), encoder.extradata


def listened(source: Path, audio: AudioPolicy = AUTO) -> Prescan:
    return prescan(source, probe(source).audio, audio)


def remade(source: Path, out: Path, length: int = 25, audio: AudioPolicy = AUTO) -> AudioOutcome:
    """Decode, encode in segments and assemble, as a job does, but without cropping."""
    info = probe(source)
    decoder = PyAvDecoder(source, info, max_surface_pixels=10**7)
    frames = [frame for batch in decoder.batches() for frame in batch.frames]
    parts = list(segments(info, iter(frames), length))
    with out.open("wb") as file:
        outcome = assemble_mp4(
            file,
            source=source,
            info=info,
            audio=listened(source, audio),
            extradata=parts[0][1],
            video=(p for packets, _ in parts for p in packets),
            time_base=info.video.time_base,
            width=frames[0].width,
            height=frames[0].height,
            color=decoder.color,
            fps=info.video.fps,
            last_duration=frames[-1].duration,
        )
    span_s = float((frames[-1].pts - frames[0].pts) * info.video.time_base) + outcome.frame_lead_s
    verify_mp4(out, expected_frames=len(frames), expected_span_s=span_s, width=frames[0].width, height=frames[0].height)
    return outcome
