"""Photos and videos: reading, finding faces, choosing a part, seeing skin."""

from typing import TYPE_CHECKING

from ..system.lazy import lazy

if TYPE_CHECKING:
    from .boxes import Box as Box
    from .boxes import Part as Part
    from .boxes import crop as crop
    from .faces import find_faces as find_faces
    from .framing import choose_parts as choose_parts
    from .framing import cut as cut
    from .framing import region as region
    from .images import as_photo as as_photo
    from .paths import expand as expand
    from .reading import Photo as Photo
    from .reading import read_photo as read_photo
    from .skin_pixels import eyes_and_teeth as eyes_and_teeth
    from .skin_pixels import face_region as face_region
    from .skin_pixels import seen_skin as seen_skin
    from .skin_pixels import skin_mask as skin_mask
    from .video import frames as frames

__all__ = [
    "Box",
    "Part",
    "Photo",
    "as_photo",
    "choose_parts",
    "crop",
    "cut",
    "expand",
    "eyes_and_teeth",
    "face_region",
    "find_faces",
    "frames",
    "read_photo",
    "region",
    "seen_skin",
    "skin_mask",
]

__getattr__ = lazy(
    __name__,
    {
        "Box": "boxes",
        "Part": "boxes",
        "Photo": "reading",
        "as_photo": "images",
        "choose_parts": "framing",
        "crop": "boxes",
        "cut": "framing",
        "expand": "paths",
        "eyes_and_teeth": "skin_pixels",
        "face_region": "skin_pixels",
        "find_faces": "faces",
        "frames": "video",
        "read_photo": "reading",
        "region": "framing",
        "seen_skin": "skin_pixels",
        "skin_mask": "skin_pixels",
    },
)
