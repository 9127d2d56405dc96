"""DALI's graphs: decoded windows of images, or the whole way to normalized squares."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from nvidia.dali import fn, math, types
from nvidia.dali.pipeline import Pipeline

from vision.data.encoded import Encoded
from vision.data.transforms import Rendering
from vision.data.views import View
from vision.settings import AugmentationSettings

Image = tuple[Encoded, View]
Source = Callable[[], Sequence[Any]]

_GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # torchvision's weights of red, green and blue


def decoding_pipeline(source: Source, batch_size: int, threads: int, prefetch: int) -> Pipeline:
    """Windows uint8 [h, w, 3] of encoded images on the CPU; `source` gives `decoding_inputs`, and stops by itself.

    A JPEG is decoded no further than its window asks for, to the same bits as whole.
    """
    pipeline = _pipeline(batch_size, threads, prefetch, None)
    with pipeline:
        encoded, corner, window = fn.external_source(source, num_outputs=3)
        pipeline.set_outputs(_decoded(encoded, corner, window, "cpu"))
    return pipeline


def decoding_inputs(images: Sequence[Image]) -> tuple[Any, ...]:
    """Of every image the bytes, and corner and size of its window."""
    views = [view for _, view in images]
    return ([_bytes(file) for file, _ in images], _pairs([v.corner for v in views]), _pairs([v.window for v in views]))


def square_pipeline(
    source: Source, rendering: Rendering, batch_size: int, threads: int, prefetch: int, device_id: int | None
) -> Pipeline:
    """Normalized squares float32 [n, 3, S, S] with DALI's own operators, on a GPU (None: the CPU, for comparison).

    `source` gives `square_inputs`, and stops by itself.
    """
    side, stages = rendering.views.size, _stages(rendering.views.augmentation)
    resampling = {"bilinear": types.INTERP_LINEAR, "bicubic": types.INTERP_CUBIC}[rendering.interpolation]
    pipeline = _pipeline(batch_size, threads, prefetch, device_id)
    with pipeline:
        inputs = list(fn.external_source(source, num_outputs=len(square_inputs([], rendering))))
        encoded, corner, window, resized, place, flip = inputs[:6]
        images = _decoded(encoded, corner, window, "cpu" if device_id is None else "mixed")
        images = fn.resize(images, size=resized, interp_type=resampling, antialias=True)
        images = fn.slice(images, start=place, shape=[side, side], axes=[0, 1], out_of_bounds_policy="pad")
        if _rotates(rendering.views.augmentation):
            images = fn.rotate(images, angle=inputs[6], keep_size=True, fill_value=0, interp_type=types.INTERP_LINEAR)
        if stages:
            images = _recoloured(images, inputs[-1], stages)
        mean, std = ([255 * value for value in values] for values in (rendering.mean, rendering.std))
        images = fn.crop_mirror_normalize(
            images, mirror=flip, mean=mean, std=std, output_layout="CHW", dtype=types.FLOAT
        )
        pipeline.set_outputs(images)
    return pipeline


def square_inputs(images: Sequence[Image], rendering: Rendering) -> tuple[Any, ...]:
    """What `decoding_inputs` has, and the rest of the views: size, place, flip; angle and colours, if they change."""
    views = [view for _, view in images]
    augmentation = rendering.views.augmentation
    inputs = [
        *decoding_inputs(images),
        _pairs([view.resized for view in views]).astype(np.float32),
        _pairs([view.place for view in views]),
        np.array([view.flip for view in views], np.int32),
    ]
    if _rotates(augmentation):  # the flip comes last here, and turns the other way round
        inputs.append(np.array([-view.angle if view.flip else view.angle for view in views], np.float32))
    if stages := _stages(augmentation):
        inputs.append(np.array([_colour(view, stages) for view in views], np.float32))
    return tuple(inputs)


@contextmanager
def running(pipeline: Pipeline) -> Iterator[Pipeline]:
    """Ends the pipeline's threads at the end of the block.

    Left to the garbage collector, that may happen in a process that was forked meanwhile: without those threads, it
    would wait for them forever. DALI has no public name for it.
    """
    try:
        yield pipeline
    finally:
        pipeline._shutdown()


def _pipeline(batch_size: int, threads: int, prefetch: int, device_id: int | None) -> Pipeline:
    return Pipeline(batch_size, threads, device_id, prefetch_queue_depth=prefetch, exec_dynamic=True)


def _decoded(encoded: Any, corner: Any, window: Any, device: str) -> Any:
    return fn.decoders.image_slice(
        encoded,
        start=corner,
        shape=window,
        axes=[0, 1],
        device=device,
        output_type=types.RGB,
        adjust_orientation=False,  # as torchvision
        jpeg_fancy_upsampling=True,  # of the chroma, on the GPU too: as every decoder does on the CPU
    )


def _recoloured(images: Any, colour: Any, stages: int) -> Any:
    """Every stage is x * brightness, of which saturation s keeps s parts colour, + share * mean grey; then clamped."""
    images = fn.cast(images, dtype=types.FLOAT)
    for stage in range(stages):
        brightness, saturation, share = (colour[stage, column] for column in range(3))
        grey = fn.reductions.sum(fn.reductions.mean(images, axes=[0, 1]) * types.Constant(_GREY))
        images = fn.color_twist(images, brightness=brightness, saturation=saturation, dtype=types.FLOAT)
        images = math.clamp(images + share * grey, 0.0, 255.0)
    return images


def _colour(view: View, stages: int) -> list[list[float]]:
    """(brightness, saturation, share of the mean) of every stage; those that a view does not need change nothing."""
    row = {
        "grayscale": lambda factor: [1.0, 0.0, 0.0],
        "brightness": lambda factor: [factor, 1.0, 0.0],
        "contrast": lambda factor: [factor, 1.0, 1.0 - factor],
        "saturation": lambda factor: [1.0, factor, 0.0],
    }
    asked = [row[name](factor) for name, factor in view.colour]
    return asked + [[1.0, 1.0, 0.0]] * (stages - len(asked))


def _stages(augmentation: AugmentationSettings | None) -> int:
    """How many colours of one image may change in turn; DALI's hue is another, see `DaliBatches`."""
    return 0 if augmentation is None else sum(value > 0 for value in (augmentation.grayscale, *augmentation.jitter[:3]))


def _rotates(augmentation: AugmentationSettings | None) -> bool:
    return augmentation is not None and augmentation.rotation > 0


def _pairs(values: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    return np.array(values, np.int32).reshape(-1, 2)


def _bytes(file: Encoded) -> npt.NDArray[np.uint8]:
    """The file, or where PIL has to decode it a file (portable pixmap) that DALI reads without loss."""
    if file.is_plain_jpeg:
        return np.frombuffer(file.content, np.uint8)
    header = f"P6 {file.width} {file.height} 255\n".encode()
    return np.concatenate([np.frombuffer(header, np.uint8), file.pixels().ravel()])
