"""ResNet backbones without their last two layers (He et al. 2015), with torchvision's names of weights."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Makes the normalization of so many channels."""

_BLOCKS: Mapping[str, tuple[int, int, int, int]] = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
BACKBONES = tuple(_BLOCKS)
"""The backbones that are built here. Those from resnet50 on have other blocks."""
CHANNELS = 512
"""Of the feature map."""


def group_norm(channels: int) -> nn.Module:
    """Group norm with 16 channels a group."""
    return nn.GroupNorm(channels // 16, channels)


class _Block(nn.Module):
    """Two convolutions of 3x3, and the input added."""

    def __init__(self, channels: int, out_channels: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = norm(out_channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = norm(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out_channels:
            narrow = nn.Conv2d(channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(narrow, norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        kept = x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(out + kept)
        return result


def backbone(name: str, norm: Norm = nn.BatchNorm2d) -> nn.Sequential:
    """From images (B, 3, H, W) to a feature map (B, 512, H/32, W/32), rounded up. ``name``: one of ``BACKBONES``."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), norm(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for level, count in enumerate(_BLOCKS[name]):
        out = 64 * 2**level
        strides = [1 if level == 0 else 2] + [1] * (count - 1)
        blocks = [_Block(channels if at == 0 else out, out, stride, norm) for at, stride in enumerate(strides)]
        layers.append(nn.Sequential(*blocks))
        channels = out
    return nn.Sequential(*layers)
