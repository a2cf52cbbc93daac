"""The classifier that judges generated images: a small network trained on the real training images alone.

Its labels are compared with those requested; the Fréchet distance is between the features of its last layer but one.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from ddim_edge.files import atomic_write
from models.training.fashion_mnist.data import load

JUDGE = Path(__file__).with_name("judge.pt")
"""The weights that judge. They are kept in the repository: distances by others cannot be compared with theirs."""
NUM_FEATURES = 128
WIDTHS = (24, 48, 64, 96, NUM_FEATURES)
STRIDES = (1, 2, 1, 2, 1)
EPOCHS = 8
BATCH_SIZE = 128
LEARNING_RATE = 4e-3


class Classifier(nn.Module):
    """Five convolutions with batch norm and a mean over the pixels: 128 features, then ten logits."""

    def __init__(self) -> None:
        super().__init__()
        channels = (1, *WIDTHS)
        self.body = nn.Sequential(*(_block(*row) for row in zip(channels, WIDTHS, STRIDES, strict=False)))
        self.head = nn.Linear(NUM_FEATURES, 10)

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [-1, 1] -> features (B, 128)."""
        return torch.as_tensor(self.body(images).mean(dim=(2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.features(images)))


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def to_signal(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey levels, uint8 (N, 28, 28), on the scale [-1, 1]: float32 (N, 1, 28, 28)."""
    return (images.astype(np.float32) / 127.5 - 1)[:, None]


@torch.no_grad()
def judge(
    classifier: Classifier, images: NDArray[np.float32], batch_size: int = 500
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The features, float32 (N, 128), and labels, int64 (N,), of images (N, 1, 28, 28) in [-1, 1]."""
    starts = range(0, len(images), batch_size)
    batches = (torch.from_numpy(images[start : start + batch_size]) for start in starts)
    features = torch.cat([classifier.features(batch) for batch in batches])
    return features.numpy(), classifier.head(features).argmax(dim=1).numpy()


def load_or_train(path: Path) -> Classifier:
    """The classifier with the weights at ``path``; if there are none, it is trained and they are written."""
    classifier = Classifier()
    if path.exists():
        classifier.load_state_dict(torch.load(path, weights_only=True))
        return classifier.eval()
    train(classifier)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        torch.save(classifier.state_dict(), file)
    return classifier.eval()


def train(classifier: Classifier) -> None:
    """AdamW with a one-cycle learning rate; every other image mirrored, no noise, seeded."""
    torch.manual_seed(0)
    classifier.train()
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.05)
    pixels, labels = load("train")
    images, targets = torch.from_numpy(to_signal(pixels)), torch.from_numpy(labels)
    num_steps = EPOCHS * (len(images) // BATCH_SIZE)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=num_steps)
    for rows in track(_batches(len(images)), "training the classifier", total=num_steps):
        with torch.autocast("cpu", torch.bfloat16):
            logits = classifier(_mirror_half(images[rows]).contiguous(memory_format=torch.channels_last))
        nn.functional.cross_entropy(logits.float(), targets[rows], label_smoothing=0.05).backward()
        optimizer.step()
        optimizer.zero_grad()
        cycle.step()


def _batches(num_images: int) -> Iterator[Tensor]:
    for _ in range(EPOCHS):
        order = torch.randperm(num_images)
        for start in range(0, num_images - BATCH_SIZE + 1, BATCH_SIZE):
            yield order[start : start + BATCH_SIZE]


def _mirror_half(images: Tensor) -> Tensor:
    """Images (B, 1, 28, 28), every other one of them, by chance, mirrored left to right."""
    mirrored = (torch.rand(len(images)) < 0.5).view(-1, 1, 1, 1)
    return torch.where(mirrored, images.flip(3), images)
