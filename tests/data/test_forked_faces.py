"""Synthetic faces are made by forked processes, also where OpenCV had threads before."""

import multiprocessing

import cv2
import numpy as np
import pytest
import torch

from biofacenet.data import generate
from biofacenet.data.synthetic.batches import FaceBatches


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_faces_are_made_after_opencv_had_threads() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        cv2.GaussianBlur(np.zeros((2000, 2000), np.float32), (31, 31), 0)  # its threads live now
        batches = FaceBatches(range(40), 3, size=16, skin="published").made_in_parallel(2)
        batches.timeout = 60  # seconds; a worker that waits for ever is an error
        made = list(batches)
    finally:
        cv2.setNumThreads(before)
    assert [len(part) for part in made] == [32, 8]
    assert torch.equal(made[1].image, generate(range(32, 40), 3, size=16, skin="published").image)
