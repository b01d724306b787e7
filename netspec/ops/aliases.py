"""What other libraries call the ops, blocks and arguments of netspec, for suggestions in messages.

The names of an op stand on the op. Here is what no op says: the shipped blocks, what is written in another way, what
netspec lacks, and the arguments, whose names ops share. A name is written without case, `_` and what is before a `.`:
`BatchNorm2d` and `nn.batch_norm_2d` are `batchnorm2d`. A test holds the tables against the ops: what is meant must
exist, and an op of a name that stands under NO_OP fails it.
"""

from __future__ import annotations

from typing import NamedTuple

from netspec.expressions.other_names import normal
from netspec.ops.registry import ALIASES

_BLOCKS = {
    "dense_layer": "denselayer",
    "bn_relu": "batchnormact2d",
    "conv_bn_relu": "convbnrelu cbr convmodule",
    "conv_bn": "convbn",
    "conv_relu": "convrelu",
    "conv_bn_act": "convbnact convnormact convbnactivation conv2dnormactivation",
    "conv_bn_silu": "cbs convbnsilu",
    "se": "seblock selayer semodule squeezeandexcitation squeezeexcitation",
    "basic": "basicblock resblock residualblock resnetblock",
    "bottleneck": "bottleneckblock",
    "mbconv": "mbconvblock",
    "fused_mbconv": "fusedmbconvblock",
    "inverted_residual": "invertedres invertedresidualblock",
    "inception": "inceptionmodule inceptionblock",
    "fire": "firemodule",
    "transition": "transitionlayer",
}
"""The shipped block that is meant -> what people type."""

_INSTEAD = {
    "`conv: {out: ..., kernel: 1}`": "conv1x1 pointwiseconv pwconv",
    "`conv: {out: ..., kernel: 3, pad: half}`": "conv3x3",
    "`conv: {out: ..., kernel: 5, pad: half}`": "conv5x5",
    "`conv: {out: ..., kernel: 7, pad: half}`": "conv7x7",
    "`conv: {out: =in.channels, groups: =in.channels, kernel: 3, pad: half}`": (
        "depthwiseconv depthwiseconv2d dwconv depthwise"
    ),
    "a `conv` with `groups: =in.channels`, then one with `kernel: 1`": "separableconv separableconv2d sepconv",
    "`conv` with `groups: ...`": "groupedconv groupconv",
    "`conv` with `dilation: ...`": "dilatedconv atrousconv",
    "one of `batch_norm`, `layer_norm`, `group_norm`, `instance_norm`, `lrn`, `l2_norm`": "norm",
    "one of `max_pool`, `avg_pool`": "pool pooling pool2d",
    "one of `global_avg_pool`, `global_max_pool`": "globalpool globalpooling",
    "`global_max_pool`, for a size of 1": "adaptivemaxpool adaptivemaxpool2d",
    "an activation is a step of its own, such as `relu`": "activation act nonlinearity",
    "`upsample: [2, nearest]`": "upsamplingnearest2d nearest unpool",
    "`upsample: [2, bilinear]`, which is PyTorch's with align_corners=False": "upsamplingbilinear2d",
    "`upsample: [2, bilinear]`": "bilinear",
    "`subsample` keeps every s-th pixel; or a stride": "downsample",
    "one of `add`, `mul`, `max`": "eltwise",
    "`channel_scale` learns a factor for each channel, `affine: {scale: 2}` has a constant one": "scale",
    "a step begins with its op: `conv: {out: 8, kernel: 3}`": "layer op type module node",
    "`do`, a group of steps": "sequential modulelist group seq",
    "`do`, a group of steps, or a block of your own under `blocks`": "block",
    "`concat` or `add` with a branch for each": "parallel branches",
    "`tee` runs next to the main path; `concat` and `add` join branches": "branch",
    "`add: {residual: [...], shortcut: []}`": "residual skip shortcut skipconnection",
    "`from: ...` takes the value of an earlier step": "route",
    "`repeat: 3` is next to the op of a step": "repeat",
    "the document's `input`, whose value enters the first step": "input inputlayer data",
    "the last value is the output; `outputs: [...]` names others": "output",
}
"""What to write instead, where that is more than a name -> what people type."""

NO_OP = frozenset(
    """
    conv1d conv3d matmul bilinearlayer weightnorm spectralnorm rmsnorm lppool lppool2d maxunpool2d maxunpool
    blurpool roipool roipooling spp selu celu softsign hardtanh hardmish rrelu crelu threshold thresholdedrelu
    logsoftmax softmin glu swiglu geglu quickgelu tanhshrink hardshrink softshrink logsigmoid clip clamp hardmax exp
    log abs neg sqrt square sin cos unsqueeze permute transpose pixelunshuffle spacetodepth focus tile expand gather
    reorg fold unfold gridsample argmax topk constant cast constantpad2d merge stack sub subtract minus div divide
    minimum min alphadropout dropblock gaussiandropout gaussiannoise biasadd bias crossentropyloss lambda embedding
    lstm rnn attention multiheadattention selfattention transformer yolo detect silence ppm cspblock c2f
    """.split()
)
"""Ops that netspec does not have: then there is no suggestion, rather than a wrong one."""

_ARGUMENTS = {
    "out": (
        "outchannels filters numfilters numfilter numoutput numoutputs outfeatures units numunits numhidden channels "
        "planes outplanes features cout oup outch outdim ch width maps outchan nout"
    ),
    "kernel": "kernelsize ksize kernelshape filtersize poolsize window windowsize k f kernelh kernelw kernels",
    "kernel parts": "size",
    "stride": "strides s step steps subsampling strideh stridew downsample",
    "pad": "padding pads p autopad border padh padw bordermode",
    "dilation": "dilations dilationrate d atrousrate kerneldilation",
    "dilation p": "rate",
    "groups": "group numgroups numgroup g ngroups cardinality",
    "bias": "usebias biasterm hasbias withbias",
    "slope": "negativeslope alpha leak leakiness",
    "p": "prob probability ratio dropoutratio dropprob droprate dropout dropoutrate",
    "eps": "epsilon e",
    "scale": "scalefactor factor scales upscalefactor spatialscale",
    "mode": "interpolation method resample",
    "size": "outputsize outputshape outsize pooledsize localsize depthradius n",
    "ceil": "ceilmode",
    "count_pad": "countincludepad includepad",
    "output_pad": "outputpadding",
    "parts": "chunks sections num numparts splitsizes numoutputsplits",
    "samples": "samplingratio",
    "offset": "offsets",
    "init": "weightfiller kernelinitializer initializer biasfiller weightinit biasinitializer",
    "affine": "elementwiseaffine learnable",
}
"""The parameters that may be meant, the first that the op or block has -> what people type."""

_SAID_OF_ARGUMENTS = {
    "the channels that enter are known: leave it out": (
        "inchannels infeatures inplanes numfeatures numchannels cin inp inch normalizedshape inputdim inputshape "
        "numparameters nin"
    ),
    "an activation is a step of its own, such as `- relu`": "activation act nonlinearity",
    "`p` is the probability to drop, 1 - keep_prob": "keepprob",
    "`momentum` is the share of the new value, 1 - decay": "decay",
    "`bias: false`": "nobias",
    "there are no values that change in place: leave it out": "inplace",
    "values are float32: leave it out": "dtype",
    "the command line says where it runs: leave it out": "device",
    "values are N x C x H x W: leave it out": "dataformat",
    "it is an op of its own, `pad: {pad: 1, pad_mode: reflect}`; zeros need none": "paddingmode",
    "there are no indices: leave it out": "returnindices",
    "the statistics are always kept: leave it out": "trackrunningstats",
    "the centres of pixels are at half, PyTorch's align_corners=False: leave it out": "aligncorners",
    "it goes over the channels or features: leave it out": "axis dim",
    "it keeps the batch: leave it out": "startdim",
    "a name is written with `=`: `name = op: arguments`": "name",
    "a normalisation is a step of its own, such as `- batch_norm`": "norm normlayer",
}
"""What to do instead -> what people type; `op_argument` is of one op alone."""

BLOCKS = {name: meant for meant, names in _BLOCKS.items() for name in names.split()}
INSTEAD = {name: meant for meant, names in _INSTEAD.items() for name in names.split()}
ARGUMENTS = {name: meant.split() for meant, names in _ARGUMENTS.items() for name in names.split()}
SAID_OF_ARGUMENTS = {
    name.replace("_", " "): said for said, names in _SAID_OF_ARGUMENTS.items() for name in names.split()
}


class Meant(NamedTuple):
    """What is meant by the name of another library."""

    name: str
    """The op or block; empty where something else is written."""
    remark: str = ""
    """In what it differs, or what is written instead."""


def meant_by(name: str) -> Meant | None:
    """What a name of another library means, however it is spelled; None where no table has it."""
    key = normal(name)
    if key in ALIASES:
        return Meant(*ALIASES[key])
    if key in BLOCKS:
        return Meant(BLOCKS[key])
    return Meant("", INSTEAD[key]) if key in INSTEAD else None
