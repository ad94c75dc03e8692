"""MNIST loads, splits as the spec says, and a damaged file is named in a plain sentence."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.datasets.mnist import FOLDER, load_mnist, read_idx
from engine.errors import DatasetError, SpecError
from engine.specs import MnistSpec

SHAPE = (3, 4, 4)
GOOD = struct.pack(">HBB3I", 0, 8, 3, *SHAPE) + bytes(range(48))


def test_the_installed_files_are_mnist() -> None:
    dataset = load_mnist()
    assert dataset.train.images.shape == (60_000, 28, 28)
    assert dataset.test.images.shape == (10_000, 28, 28)
    assert dataset.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(dataset.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert not dataset.train.images.flags.writeable
    assert isinstance(dataset.train.images, np.memmap)


def test_validation_is_the_end_of_the_training_images_used() -> None:
    dataset = load_mnist()
    splits = dataset.splits(MnistSpec(train_size=1_000, validation_size=100))
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [900, 100, 10_000]
    assert np.array_equal(splits["validation"].images, dataset.train.images[900:1_000])
    assert np.shares_memory(splits["train"].images, dataset.train.images)


def test_a_run_without_training_examples_is_refused() -> None:
    with pytest.raises(SpecError, match="none is left") as caught:
        load_mnist().splits(MnistSpec(train_size=100, validation_size=100))
    assert caught.value.field == "/dataset/validation_size"


def test_an_intact_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(GOOD)
    assert read_idx(path, SHAPE).tobytes() == bytes(range(48))


def _unreadable(path: Path) -> None:
    path.write_bytes(GOOD)
    path.chmod(0)


def _nothing(_: Path) -> None:
    """No file at all."""


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _named_pipe(path: Path) -> None:
    os.mkfifo(path)


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


DAMAGED = {
    "empty": (_bytes(b""), "expected 64 bytes, found 0"),
    "three bytes": (_bytes(GOOD[:3]), "expected 64 bytes, found 3"),
    "wrong magic": (_bytes(b"\x00\x01" + GOOD[2:]), "does not begin as"),
    "floats": (_bytes(GOOD[:2] + b"\x0d" + GOOD[3:]), "does not begin as"),
    "gzip": (_bytes(b"\x1f\x8b\x08\x00" + GOOD[4:]), "does not begin as"),
    "one dimension": (_bytes(GOOD[:3] + b"\x01" + GOOD[4:]), "does not begin as"),
    "sizes overflow": (_bytes(GOOD[:4] + b"\xff" * 12 + GOOD[16:]), "does not begin as"),
    "count differs": (_bytes(GOOD[:7] + b"\x04" + GOOD[8:]), "does not begin as"),
    "truncated": (_bytes(GOOD[:-1]), "expected 64 bytes, found 63"),
    "longer": (_bytes(GOOD + b"\x00"), "expected 64 bytes, found 65"),
    "missing": (_nothing, "is missing"),
    "directory": (_directory, "directory|not a file"),
    "dangling link": (_dangling_link, "is missing"),
    "named pipe": (_named_pipe, "not a file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused(case: str, tmp_path: Path) -> None:
    make, message = DAMAGED[case]
    path = tmp_path / "images"
    make(path)
    with pytest.raises(DatasetError, match=message) as caught:
        read_idx(path, SHAPE)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may read every file")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    _unreadable(path)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        read_idx(path, SHAPE)


def test_labels_beyond_nine_are_refused(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        (tmp_path / file.name).symlink_to(file)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(content[:-1] + b"\xff")
    with pytest.raises(DatasetError, match="holds the label 255"):
        load_mnist(tmp_path)


def test_the_size_of_the_real_images_is_told(tmp_path: Path) -> None:
    for file in FOLDER.iterdir():
        (tmp_path / file.name).symlink_to(file)
    images = tmp_path / "train-images-idx3-ubyte"
    images.unlink()
    images.write_bytes(b"half a download")
    with pytest.raises(DatasetError, match=r"^train-images-idx3-ubyte is damaged: expected 47,040,016 bytes, found 15\.$"):
        load_mnist(tmp_path)
