"""What a result lacks of its source, or holds in another way: every code with its words in English and Korean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Placeholders are filled by ``media_warning``. ``{span}`` is " from 0:12 to 0:19", or nothing where no time is known.
WORDS: dict[str, tuple[str, str]] = {
    "AUDIO_STREAM_DROPPED": (
        "Audio stream {stream} ({codec}) is not in the result: there is no decoder for it, or too many streams.",
        "오디오 스트림 {stream}({codec})은 결과에 없습니다. 여기에 맞는 디코더가 없거나 스트림이 너무 많습니다.",
    ),
    "EDIT_SPEED_IGNORED": (
        "The file's edit list asks for another speed of stream {stream} in {count} place(s); it plays at normal speed.",
        "편집 목록이 스트림 {stream}의 {count}곳에서 다른 재생 속도를 지정하지만, 결과는 보통 속도로 재생됩니다.",
    ),
    "EDIT_BEYOND_MEDIA": (
        "The file's edit list shows parts of stream {stream} that the file does not hold, in {count} place(s).",
        "파일의 편집 목록이 파일에 없는 스트림 {stream}의 부분을 {count}곳에서 가리킵니다.",
    ),
    "VIDEO_STREAM_DROPPED": (
        "Video stream {stream} ({codec}, {size}) is not in the result: another one was chosen.",
        "비디오 스트림 {stream}({codec}, {size})은 결과에 없습니다. 다른 스트림이 선택되었습니다.",
    ),
    "SUBTITLES_DROPPED": (
        "The subtitles in stream {stream} ({codec}) are not in the result: MP4 holds subtitles of text alone.",
        "스트림 {stream}의 자막({codec})은 결과에 없습니다. MP4에는 텍스트 자막만 담을 수 있습니다.",
    ),
    "SUBTITLES_DAMAGED": (
        "{count} texts of the subtitles in stream {stream} cannot be read and are not in the result.",
        "스트림 {stream}의 자막 중 {count}개를 읽을 수 없어 결과에서 빠졌습니다.",
    ),
    "CAPTIONS_DROPPED": (
        "Closed captions that lie within the pictures of stream {stream} are not in the result.",
        "스트림 {stream}의 화면 데이터에 들어 있는 폐쇄 자막은 결과에 없습니다.",
    ),
    "TIMECODE_DROPPED": (
        "The timecode cannot be read, or not be counted at the result's frame rate, and is not in the result.",
        "타임코드를 읽을 수 없거나 결과의 프레임 속도로 셀 수 없어 결과에 없습니다.",
    ),
    "DATA_STREAMS_DROPPED": (
        "Data streams, such as GPS or a camera's own notes, are not in the result: {streams}.",
        "GPS나 카메라 기록 같은 데이터 스트림({streams})은 결과에 없습니다.",
    ),
    "ATTACHMENTS_DROPPED": (
        "{count} attached files, such as fonts, are not in the result.",
        "글꼴 등 첨부 파일 {count}개는 결과에 없습니다.",
    ),
}


@dataclass(frozen=True, slots=True)
class MediaWarning:
    """One thing that is in the source and not, or not as it was, in the result.

    Attributes:
        code: machine code, a key of ``WORDS``.
        stream: index of the stream in the source; None where the whole file is meant.
        from_s, to_s: the stretch of the result's timeline, in seconds; None where it is not known or is all of it.
        message: one sentence in English.
        message_ko: the same in Korean.
    """

    code: str
    stream: int | None
    from_s: float | None
    to_s: float | None
    message: str
    message_ko: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def media_warning(
    code: str, *, stream: int | None = None, from_s: float | None = None, to_s: float | None = None, **values: Any
) -> MediaWarning:
    """A warning with its words filled in.

    Args:
        values: what the placeholders of the code's words stand for, besides ``stream`` and ``span``.
    """
    english, korean = WORDS[code]
    span_en = span_ko = ""
    if from_s is not None and to_s is not None:
        span_en = f" from {_clock(from_s)} to {_clock(to_s)}"
        span_ko = f" {_clock(from_s)}부터 {_clock(to_s)}까지"
    return MediaWarning(
        code=code,
        stream=stream,
        from_s=None if from_s is None else round(from_s, 3),
        to_s=None if to_s is None else round(to_s, 3),
        message=english.format(stream=stream, span=span_en, **values),
        message_ko=korean.format(stream=stream, span=span_ko, **values),
    )


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
