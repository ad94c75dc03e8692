"""MNIST from its four IDX files, checked before a pixel is read.

An IDX file is a header of big-endian 32-bit integers (a magic number: two zero bytes, the element type, the number of
dimensions; then one size per dimension) and the bytes themselves, row by row. Format and data: LeCun, Cortes and
Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import math
import os
import stat
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.arrays import Labels
from engine.datasets.base import ImageDataset, LabelledImages
from engine.errors import DatasetError
from engine.specs import DIGITS

FOLDER = Path(__file__).resolve().parents[1] / "_data" / "mnist"
"""Where the installed files lie."""

_UNSIGNED_BYTE = 0x08
_TRAIN_IMAGES, _TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
_TEST_IMAGES, _TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def load_mnist(folder: Path = FOLDER) -> ImageDataset:
    """The 60,000 training and 10,000 test digits; the images stay on disk, memory-mapped, shared by all processes.

    Raises DatasetError naming the file when one is missing, unreadable, or anything but what it should be.
    """
    return ImageDataset(
        name="mnist",
        classes=DIGITS,
        train=_labelled(folder / _TRAIN_IMAGES, folder / _TRAIN_LABELS, 60_000),
        test=_labelled(folder / _TEST_IMAGES, folder / _TEST_LABELS, 10_000),
    )


def _labelled(images: Path, labels: Path, count: int) -> LabelledImages:
    return LabelledImages(read_idx(images, (count, 28, 28)), _read_labels(labels, count))


def _read_labels(path: Path, count: int) -> Labels:
    labels = read_idx(path, (count,)).astype(np.int64)
    if labels.max() >= len(DIGITS):
        raise DatasetError(f"{path.name} is damaged: it holds the label {labels.max()}, but digits go from 0 to 9.")
    return labels


def read_idx(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The uint8 array of `shape` in an IDX file, memory-mapped and read-only.

    The file's size is compared with what `shape` needs, and its header with the one that such a file has, in plain
    integers, before anything is mapped: a damaged header can neither allocate nor read past the end.
    """
    header = struct.pack(f">HBB{len(shape)}I", 0, _UNSIGNED_BYTE, len(shape), *shape)
    expected = len(header) + math.prod(shape)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DatasetError(f"{path.name} is not a file.")
            if status.st_size != expected:
                raise DatasetError(f"{path.name} is damaged: expected {expected:,} bytes, found {status.st_size:,}.")
            if file.read(len(header)) != header:
                raise DatasetError(
                    f"{path.name} is damaged: it does not begin as an IDX file of {_times(shape)} bytes does."
                )
            return np.memmap(file, np.uint8, mode="r", offset=len(header), shape=shape)
    except FileNotFoundError:
        raise DatasetError(f"{path.name} is missing. Install again to fetch MNIST.") from None
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}.") from error


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a named pipe would otherwise wait for ever for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{size:,}" for size in shape)
