"""Measures of networks, against papers and against what can be measured of the PyTorch modules."""

from __future__ import annotations

import pytest
from conftest import sampled

import netspec
from netspec.analysis.measures import MEASURES, Measured

# The layers in the names of the papers, and what lectures and surveys print of those without a number in their name.
DEPTHS = {
    "lenet5": 5,  # LeCun et al. 1998
    "alexnet": 8,  # Krizhevsky et al. 2012, section 3.5: five convolutional and three fully connected layers
    "zfnet": 8,
    "nin_imagenet": 12,  # Lin et al. 2013: four mlpconv layers of three convolutions
    "vgg_a": 11,  # Simonyan and Zisserman 2014, Table 1: weight layers
    "vgg_b": 13,
    "vgg_d": 16,
    "vgg_e": 19,
    "googlenet": 22,  # Szegedy et al. 2014, section 5: 22 layers with parameters
    "prelu_net_a": 19,  # He et al. 2015a, Table 3
    "resnet18": 18,  # He et al. 2015b
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
    "resnet110_cifar": 110,
    "resnet164_cifar": 164,
    "resnet1001_full_pre": 1001,
    "densenet121": 121,  # Huang et al. 2016
    "densenet169": 169,
    "densenet201": 201,
    "densenet161": 161,
    "squeezenet": 18,
    "mobilenet_v1": 28,  # Howard et al. 2017, section 3.2
    "mobilenet_v2": 53,
    "shufflenet": 50,
    "fractalnet": 21,  # Larsson et al. 2016: 20 convolutions and the classifier
    "inception_v3": 48,
    "se_resnet50": 50,  # Hu et al. 2018: gates are not layers of the path
    "senet154": 154,
    # Where a name says another number than its network has: 6, 12, 64 and 48 layers of two convolutions, three
    # transitions, the stem and the classifier are 265; a WRN of depth 6n + 4 counts three convolutions of shortcuts,
    # which lie on no longer path.
    "densenet264": 265,
    "wrn_28_10": 26,
    "wrn_16_8": 14,
}


@pytest.mark.parametrize("name", sampled(list(DEPTHS), 8))
def test_the_depth_is_the_number_in_the_name(name: str) -> None:
    assert MEASURES["depth"].of(Measured(netspec.load(name).inference).whole) == DEPTHS[name]


def test_parts_have_the_depths_of_googlenets_table() -> None:
    """Szegedy et al. 2014, Table 1, the column depth."""
    measured = Measured(netspec.load("googlenet").inference)
    table = {
        "conv1": 1,
        "pool1": 0,
        "conv2": 2,
        "pool2": 0,
        "3a": 2,
        "3b": 2,
        "pool3": 0,
        "5b": 2,
        "avgpool": 0,
        "fc": 1,
    }
    assert {path: MEASURES["depth"].of(measured.at(path)) for path in table} == table


def test_measures_of_alexnet_and_network_in_network() -> None:
    """Krizhevsky et al. 2012, section 3.5: 253,440 neurons are a misprint of 55 x 55 x 96, the others are as printed.

    Slides of Lin et al. 2013: 29 MB of Network in Network, which are MiB, and 230 MB of AlexNet.
    """
    measured = Measured(netspec.load("alexnet").inference)
    layers = {"conv1": 290_400, "conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264}
    found = {path: MEASURES["neurons"].of(measured.at(f"net.{path}")) for path in layers}
    assert found == layers
    nin = Measured(netspec.load("nin_imagenet").inference)
    alexnet_bytes, nin_bytes = (MEASURES["weights"].of(m.whole) or 0 for m in (measured, nin))
    assert alexnet_bytes == 4 * 60_965_224
    assert (round(alexnet_bytes / 2**20, -1), round(nin_bytes / 2**20)) == (230, 29)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_says_what_it_is(name: str) -> None:
    measure = MEASURES[name]
    assert measure.doc and measure.title and measure.doc[0].isupper()
    empty = Measured(netspec.load("lenet5").inference).part([], None)
    assert measure.of(empty) in (0, None)
