"""Files into a jail and out of it."""

import contextlib
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from agents.sandbox.contract import GivenFile, JailLimits, StepResult
from agents.sandbox.files import MAX_FILES, clean_name
from tests.agents.sandbox.lab import TIGHT, Lab

ROOMY = replace(TIGHT, disk_bytes=8 << 20, wall_s=5.0)


def names(result: StepResult) -> list[str]:
    return [file.name for file in result.files]


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_given_files_are_there_to_read_and_not_to_write(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with_file = (GivenFile("in put.bin", content),)
    with contextlib.closing(Lab(ROOMY)) as lab:
        result = lab.step(
            "import hashlib\nhashlib.sha256(open('in/in put.bin', 'rb').read()).hexdigest()",
            files=with_file,
        )
        assert result.value == hashlib.sha256(content).hexdigest()
        refused = lab.step("open('in/in put.bin', 'w')")
        assert refused.error is not None
        assert refused.error.type == "PermissionError"


def test_what_is_left_comes_out_when_it_is_new_or_changed() -> None:
    with contextlib.closing(Lab(ROOMY)) as lab:
        first = lab.step("open('out/a.txt', 'w').write('one')\nopen('out/b.txt', 'w').close()")
        assert [(file.name, file.content) for file in first.files] == [
            ("a.txt", b"one"),
            ("b.txt", b""),
        ]
        assert first.files[0].sha256 == hashlib.sha256(b"one").hexdigest()
        assert names(lab.step("1 + 1")) == []
        changed = lab.step("open('out/b.txt', 'w').write('two')")
        assert [(file.name, file.content) for file in changed.files] == [("b.txt", b"two")]


def test_a_large_file_comes_out_whole() -> None:
    with contextlib.closing(Lab(ROOMY)) as lab:
        result = lab.step("open('out/large', 'wb').write(bytes(range(256)) * 20_000)")
        assert result.files[0].content == bytes(range(256)) * 20_000


def test_files_come_with_an_answer_and_with_an_error() -> None:
    with contextlib.closing(Lab(ROOMY)) as lab:
        failed = lab.step("open('out/a', 'w').write('1')\n1 / 0")
        assert (failed.status, names(failed)) == ("error", ["a"])
        final = lab.step("open('out/b', 'w').write('1')\nfinal_answer({'artifact': 'b'})")
        assert (final.status, names(final)) == ("final", ["b"])
        assert lab.value("1 + 1") == 2


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os\nos.mkdir('out/d')", "no plain file"),
        ("open('out/big', 'wb').write(b'0' * 21_000_000)", "20971520 are possible"),
        ("for n in range(23): open(f'out/{n:02}', 'w').close()", "at most 20 files"),
    ],
)
def test_what_stays_is_named_with_its_reason(code: str, why: str) -> None:
    with contextlib.closing(Lab(JailLimits(disk_bytes=32 << 20))) as lab:
        result = lab.step(code)
        assert result.status == "completed"
        assert len(result.files) in (0, MAX_FILES)
        assert why in result.skipped[0][1]


def test_an_odd_name_becomes_a_plain_one() -> None:
    with contextlib.closing(Lab(ROOMY)) as lab:
        result = lab.step(
            "for name in ('a\\nb', 'a\\tb', '..x', 'ü' * 100, '<b>'):\n"
            "    open('out/' + name, 'w').close()"
        )
        assert names(result) == ["x", "_b_", "a_b", "a_b-2", "ü" * 100]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        ("", "file"),
        ("a\\b.txt", "b.txt"),
        (".htaccess", "htaccess"),
        ("a" * 300 + ".csv", "a" * 89 + ".csv"),
        ("con\x00trol\r\n.txt", "con_trol__.txt"),
        ("u\u0308ber.txt", "über.txt"),
        ("\u202egpj.exe", "_gpj.exe"),
    ],
)
def test_names_are_one_plain_component(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_the_same_program_leaves_the_same_files_again() -> None:
    def run() -> Any:
        with contextlib.closing(Lab(ROOMY)) as lab:
            return [
                [(file.name, file.sha256) for file in lab.step(code).files]
                for code in ("open('out/a', 'w').write('1')", "open('out/a', 'w').write('2')", "1")
            ]

    assert run() == run()
