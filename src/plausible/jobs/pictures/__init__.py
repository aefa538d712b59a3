"""Pictures of what a model has learnt, in RUN/pictures/TICK/ and in the report.

One function a picture, declared by `@picture`; one file a family. A picture of your own is registered when its file is
imported; to make it one of the project's own, put it into a family, or add its file to the import below.
"""

from plausible.jobs.pictures import (
    codes,
    generators,
    neighbours,
)  # the order in which they stand in the report
from plausible.jobs.pictures.registry import PICTURES, PictureSubject, picture, write_pictures

__all__ = ["PICTURES", "PictureSubject", "codes", "generators", "neighbours", "picture", "write_pictures"]
