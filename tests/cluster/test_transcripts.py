"""Transcripts: what passes a machine is written down before anything comes of it, and a torn file goes on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from cluster.errors import StateError
from cluster.storage import TranscriptFile
from cluster.transcripts import TRANSCRIPT_HEAD, Frame, frame_bytes, read_transcript

ME, YOU, SIGNATURE = b"m" * 32, b"y" * 32, b"s" * 64
HEARD = Frame(1, True, YOU, ME, b"a letter", SIGNATURE)
SAID = Frame(2, False, ME, YOU, b"an answer", SIGNATURE)


def written(path: Path) -> tuple[Frame, ...]:
    return read_transcript(path.read_bytes()).frames


def both(file: TranscriptFile) -> None:
    file.heard(YOU, b"a letter", SIGNATURE, 1)
    file.said(YOU, b"an answer", SIGNATURE, 2)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "transcript"
    for _ in range(2):  # the second time as after a restart
        file = TranscriptFile(path, ME)
        both(file)
        file.close()
    assert written(path) == (HEARD, SAID) * 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_half_a_frame_is_left_out_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "transcript"
    whole = TRANSCRIPT_HEAD + frame_bytes(HEARD)
    for cut in range(1, len(frame_bytes(SAID))):
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_bytes(whole + frame_bytes(SAID)[:cut])
        read = read_transcript(path.read_bytes())
        assert read.frames == (HEARD,)
        assert read.cut_short
        file = TranscriptFile(path, ME)
        both(file)
        file.close()
        assert written(path) == (HEARD, HEARD, SAID)


def test_a_full_transcript_ends_and_nothing_fails(tmp_path: Path) -> None:
    path = tmp_path / "transcript"
    file = TranscriptFile(path, ME, max_bytes=len(TRANSCRIPT_HEAD + frame_bytes(HEARD)) + 3)
    both(file)
    assert file.ended == "it is full"
    assert written(path) == (HEARD,)
    file.close()
    both(file)
    assert written(path) == (HEARD,)


def test_a_disk_that_refuses_ends_it_and_nothing_fails(tmp_path: Path) -> None:
    file = TranscriptFile(tmp_path / "transcript", ME)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(TRANSCRIPT_HEAD) + 10, before[1]))
    try:
        both(file)  # cut short
        assert file.ended == "the disk is full"
        file.close()
        file = TranscriptFile(tmp_path / "transcript", ME, max_bytes=1 << 20)
        file._size = len(TRANSCRIPT_HEAD) + 10
        both(file)  # refused
        assert file.ended.startswith("the disk refused")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_transcript((tmp_path / "transcript").read_bytes()).frames == ()


@pytest.mark.parametrize("content", [b"something else", b"", b"assent transcript 2\n"])
def test_another_file_is_not_written_to(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "transcript"
    path.touch(0o600)
    path.write_bytes(content)
    if content:
        with pytest.raises(StateError, match="not a transcript"):
            TranscriptFile(path, ME)
        assert path.read_bytes() == content
    else:
        TranscriptFile(path, ME).close()
        assert path.read_bytes() == TRANSCRIPT_HEAD


def test_a_transcript_that_others_could_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "transcript"
    path.write_bytes(TRANSCRIPT_HEAD)
    path.chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        TranscriptFile(path, ME)
    with pytest.raises(StateError, match="no such file"):
        TranscriptFile(tmp_path / "nowhere" / "transcript", ME)


@pytest.mark.parametrize(
    "tail",
    [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", frame_bytes(SAID)[:4] + b"\x96" + frame_bytes(SAID)[5:][::-1]],
)
def test_frames_that_make_no_sense_are_named(tail: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        read_transcript(TRANSCRIPT_HEAD + frame_bytes(HEARD) + tail)
