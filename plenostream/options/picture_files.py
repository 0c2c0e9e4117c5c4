"""How pictures and films are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.errors import InvalidInput
from plenostream.options.pictures import FPS
from plenostream.rules import Choice, Truth, Whole, check_record, described

__all__ = ["DEPTH_COLORMAPS", "FileOptions", "PictureFormat", "VideoCodec"]

PictureFormat = Literal["png", "jpg", "webp", "exr", "npy", "npz"]
VideoCodec = Literal["h264", "hevc", "prores", "vp9"]
DEPTH_COLORMAPS = ("turbo", "viridis", "plasma", "cividis", "grey")
"""Tables of colours for depths and costs, as OpenCV and Matplotlib have them."""


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How pictures and films are written.

    Raises
    ------
    InvalidInput : a value against its rule, or two that do not go together.
    """

    format: Annotated[
        PictureFormat | None,
        Choice(
            choices=get_args(PictureFormat), unsaid="png",
            help="Format of the frames in a folder; a single picture has that of its ending.",
        ),
    ] = None  # fmt: skip
    png_bits: Annotated[
        int, Choice(choices=(8, 16), help="Bits of a channel of a PNG's colours and normals.")
    ] = 8
    quality: Annotated[
        int | None,
        Whole(
            least=1, most=100, unsaid="90",
            help="Quality of JPEG and WebP pictures, which are for previews: higher is larger.",
        ),
    ] = None  # fmt: skip
    linear: Annotated[
        bool,
        Truth(
            help="Write the colours of .exr, .npy and .npz in linear light, as compositors expect "
            "them. The model's colours are taken for sRGB, as the photographs that it was trained "
            "on; else they are written as they are, and an .exr says so."
        ),
    ] = False
    depth_colormap: Annotated[
        str,
        Choice(
            choices=DEPTH_COLORMAPS,
            help="Colours of depth and cost in pictures to look at: near, or many samples, is at the "
            "red or bright end.",
        ),
    ] = "turbo"
    fps: Annotated[float | None, FPS] = None
    video_codec: Annotated[
        VideoCodec | None,
        Choice(
            choices=get_args(VideoCodec), unsaid="h264 in .mp4, prores in .mov, vp9 in .webm",
            help="Codec of a film. h264 and hevc go into .mp4 and .mov; prores (ProRes 4444, for "
            "editing) and vp9 (for browsers) can be transparent.",
        ),
    ] = None  # fmt: skip
    crf: Annotated[
        int | None,
        Whole(
            least=1, most=63, unsaid="16 for h264, 18 for hevc, 24 for vp9",
            help="Constant quality of a film: lower is better and larger. h264 and hevc take 1 to "
            "51, vp9 1 to 63; prores has none.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)
        if self.crf is not None and self.video_codec == "prores":
            raise InvalidInput("crf does not go with prores, whose quality is fixed; leave it out")
