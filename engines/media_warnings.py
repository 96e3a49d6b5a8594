"""Warnings about what a result lacks or holds in another form: each code with its texts in English and Korean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Placeholders are filled by ``media_warning``. ``{span}`` is " from 0:12 to 0:19", " at 0:12" or, where no time is
# known, nothing.
WORDS: dict[str, tuple[str, str]] = {
    "AUDIO_STREAM_DROPPED": (
        "Audio stream {stream} ({codec}) is not in the result: there is no decoder for it, or too many streams.",
        "오디오 스트림 {stream}({codec})은 결과에 없습니다. 여기에 맞는 디코더가 없거나 스트림이 너무 많습니다.",
    ),
    "DOLBY_VISION_NO_BASE": (
        "The video is Dolby Vision without a base for other programs (profile 5): the result's colours are wrong.",
        "다른 프로그램용 기본 영상이 없는 Dolby Vision(프로필 5)이므로 결과의 색이 올바르지 않습니다.",
    ),
    "HDR_TONEMAPPED": (
        "HDR was not kept, as hdr: keep asks, but mapped to SDR: {reason}.",
        "hdr: keep 설정과 달리 HDR을 유지하지 못하고 SDR로 변환했습니다: {reason}.",
    ),
    "AUDIO_STREAM_EMPTY": (
        "Audio stream {stream} ({codec}) is not in the result: no audio of it could be read.",
        "오디오 스트림 {stream}({codec})은 결과에 없습니다. 읽을 수 있는 소리가 없습니다.",
    ),
    "AUDIO_DAMAGED": (
        "Audio stream {stream} is damaged{span}: what could not be read is left out.",
        "{stream}번 오디오 스트림이{span} 손상되었습니다. 읽을 수 없는 부분은 빠졌습니다.",
    ),
    "AUDIO_REFUSED": (
        "{count} damaged packets of audio did not fit into the result and are left out.",
        "손상된 소리 {count}개 조각을 결과에 담지 못했습니다.",
    ),
    "AUDIO_INCOMPLETE": (
        "Audio of stream {stream} is missing in the result{span}.",
        "결과에 {stream}번 오디오 스트림의 소리가{span} 빠져 있습니다.",
    ),
    "AUDIO_GAP": (
        "The recording itself has no audio in audio stream {stream}{span}.",
        "원본의 {stream}번 오디오 스트림에는{span} 소리가 없습니다.",
    ),
    "AUDIO_STARTS_LATE": (
        "In the recording itself, audio stream {stream} begins after the video: there is no audio{span}.",
        "원본에서 {stream}번 오디오 스트림이 영상보다 늦게 시작합니다.{span} 소리가 없습니다.",
    ),
    "AUDIO_ENDS_EARLY": (
        "In the recording itself, audio stream {stream} ends before the video: there is no audio{span}.",
        "원본에서 {stream}번 오디오 스트림이 영상보다 먼저 끝납니다.{span} 소리가 없습니다.",
    ),
    "AUDIO_SHORTER_THAN_DECLARED": (
        "The file declares more audio than it holds: audio stream {stream} has none{span}.",
        "파일 정보보다 소리가 짧습니다. {stream}번 오디오 스트림에는{span} 소리가 없습니다.",
    ),
    "VIDEO_DAMAGED": (
        "The video could not be decoded{span}: other frames replace it.",
        "영상을{span} 읽을 수 없어 다른 화면으로 대신했습니다.",
    ),
    "VIDEO_STARTS_LATE": (
        "In the recording itself, the video begins after audio stream {stream}: there is none{span}.",
        "원본에서 영상이 {stream}번 오디오 스트림보다 늦게 시작합니다.{span} 영상이 없습니다.",
    ),
    "VIDEO_ENDS_EARLY": (
        "In the recording itself, the video ends before audio stream {stream}: there is none{span}.",
        "원본에서 영상이 {stream}번 오디오 스트림보다 먼저 끝납니다.{span} 영상이 없습니다.",
    ),
    "VIDEO_SHORTER_THAN_DECLARED": (
        "The file declares more video than it holds: there is none{span}.",
        "파일 정보보다 영상이 짧습니다.{span} 영상이 없습니다.",
    ),
    "SOURCE_TRUNCATED": (
        "The end of the recording is missing{span}: the file breaks off.",
        "영상 끝부분이{span} 없습니다. 파일이 중간에 끊겨 있습니다.",
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
        "Closed captions that lie within the frames of stream {stream} are not in the result.",
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
    """One part of the source that the result lacks or holds in another form.

    Attributes:
        code: machine code, a key of ``WORDS``.
        stream: index of the stream in the source; None for the whole file.
        from_s, to_s: the span on the result's timeline, in seconds; None if it is unknown or everything.
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
    """Return a warning with its texts filled in.

    Args:
        values: values of the placeholders besides ``stream`` and ``span``.
    """
    english, korean = WORDS[code]
    span_en, span_ko = span_words(from_s, to_s)
    return MediaWarning(
        code=code,
        stream=stream,
        from_s=None if from_s is None else round(from_s, 3),
        to_s=None if to_s is None else round(to_s, 3),
        message=english.format(stream=stream, span=span_en, **values),
        message_ko=korean.format(stream=stream, span=span_ko, **values),
    )


def span_words(from_s: float | None, to_s: float | None) -> tuple[str, str]:
    """Return a span in words, English and Korean, with a blank before it; empty if an end is unknown."""
    if from_s is None or to_s is None:
        return "", ""
    tenths = to_s - from_s < 10
    begin, end = _clock(from_s, tenths=tenths), _clock(to_s, tenths=tenths)
    if begin == end:
        return f" at {begin}", f" {begin}쯤"
    return f" from {begin} to {end}", f" {begin}부터 {end}까지"


def _clock(seconds: float, *, tenths: bool) -> str:
    minutes, rest = divmod(max(0.0, round(seconds, 1 if tenths else 0)), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:04.1f}" if tenths else f"{rest:02.0f}"
    return f"{hours}:{minutes:02}:{shown}" if hours else f"{minutes}:{shown}"
