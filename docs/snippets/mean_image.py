import numpy as np

from plausible.jobs.pictures import PictureSubject, picture
from plausible.metrics.needs import images
from plausible.report.images import grid


@picture("mean-image", "The mean image", needs=(images,))
def show_mean_image(subject: PictureSubject):
    """The mean of the test rows beside the mean of as many samples."""
    rows = subject.data.test.array()
    samples = subject.sample(len(rows)).numpy()
    means = np.stack([rows.mean(0), samples.mean(0)])
    caption = f"Left the mean of {len(rows):,} test rows, right the mean of as many samples: they should look alike."
    return grid(means, columns=2), caption
