"""What other libraries call the ops and arguments of netspec: the one table of it, for suggestions in messages.

A name stands here without case, `_` and what is before a `.`: `BatchNorm2d` and `nn.batch_norm_2d` are `batchnorm2d`.
A test holds the table against the ops: what is meant must exist, and an op of a name that stands under NO_OP fails it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netspec.diagnostics.errors import nearest

_OPS = {
    "conv": "convolution convolution2d conv2dlayer cnn convlayer",
    "conv_transpose": (
        "convtranspose2d conv2dtranspose deconv deconvolution deconv2d transposedconv transposeconv transposedconv2d "
        "upconv"
    ),
    "deform_conv": "deformconv2d dcn",
    "linear": "dense fc fullyconnected innerproduct gemm lin lazylinear",
    "dense_layer": "denselayer",
    "batch_norm": "bn batchnorm2d batchnorm1d batchnormalization batchnormalisation syncbatchnorm",
    "bn_relu": "batchnormact2d",
    "layer_norm": "layernorm2d",
    "lrn": "localresponsenorm localresponsenormalization localresponsenormalisation lrnorm",
    "l2_norm": "normalize l2normalize l2normalization lpnormalization",
    "max_pool": "maxpool2d maxpooling2d maxpooling mp",
    "avg_pool": "avgpool2d averagepool averagepooling averagepooling2d meanpool",
    "global_avg_pool": "gap globalaveragepool globalaveragepooling globalaveragepooling2d globalavgpool2d reducemean",
    "global_max_pool": "gmp globalmaxpooling globalmaxpooling2d globalmaxpool2d reducemax",
    "adaptive_avg_pool": "adaptiveaveragepool adaptivepool",
    "leaky_relu": "lrelu leaky",
    "silu": "swish sigmoidlinearunit",
    "hard_swish": "hswish hardsilu",
    "hard_sigmoid": "hsigmoid",
    "sigmoid": "logistic sigm",
    "prelu": "parametricrelu",
    "softmax": "softmax2d",
    "relu": "rectify rectifiedlinear",
    "flatten": "reshape view squeeze flat",
    "upsample": "interpolate resize up upsampling upsampling2d upsample2d",
    "channel_shuffle": "shuffle shufflechannels",
    "split": "chunk splitchannels slice",
    "crop": "cropping2d centercrop",
    "concat": "cat concatenate concatenation depthconcat join filterconcat",
    "add": "plus sum addition elementwiseadd eltwiseadd eltwisesum",
    "mul": "multiply times product prod eltwisemul elementwisemul",
    "mean": "average avg",
    "max": "maximum maxout",
    "dropout": "dropout1d",
    "drop_path": "stochasticdepth droppath dropconnect",
    "channel_scale": "layerscale scalechannels",
    "affine": "rescaling rescale power pow",
    "identity": "noop passthrough linearactivation",
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
"""The op or shipped block that is meant -> what people type."""

_SAID = {
    "conv; its arguments begin with out and kernel: what enters is known": "conv2d",
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
    "layer_norm; over the channels of each pixel": "ln layernormalization",
    "one of `batch_norm`, `layer_norm`, `lrn`, `l2_norm`": "norm",
    "one of `max_pool`, `avg_pool`": "pool pooling pool2d",
    "one of `global_avg_pool`, `global_max_pool`": "globalpool globalpooling",
    "adaptive_avg_pool; `global_avg_pool` is the one of size 1": "adaptiveavgpool2d",
    "`global_max_pool`, for a size of 1": "adaptivemaxpool adaptivemaxpool2d",
    "an activation is a step of its own, such as `relu`": "activation act nonlinearity",
    "`upsample: [2, nearest]`": "upsamplingnearest2d nearest unpool",
    "`upsample: [2, bilinear]`, which is PyTorch's with align_corners=False": "upsamplingbilinear2d",
    "`upsample: [2, bilinear]`": "bilinear",
    "`subsample` keeps every s-th pixel; or a stride": "downsample",
    "padding is an argument of the op after it: `pad: 1`, or `[top, bottom, left, right]`": (
        "zeropad2d zeropadding2d zeropad pad padding"
    ),
    "one of `add`, `mul`, `max`": "eltwise",
    "dropout; it zeroes single elements, not whole channels": "dropout2d spatialdropout2d featuredropout",
    "`channel_scale` learns a factor for each channel, `affine: {scale: 2}` has a constant one": "scale",
    "a step begins with its op: `conv: {out: 8, kernel: 3}`": "layer op type module node",
    "`do`, a group of steps": "sequential modulelist group seq",
    "`do`, a group of steps, or a block of your own under `blocks`": "block",
    "`concat` or `add` with a branch for each": "parallel branches",
    "`tee` runs beside the main path; `concat` and `add` join branches": "branch",
    "`add: {residual: [...], shortcut: []}`": "residual skip shortcut skipconnection",
    "`from: ...` takes the value of an earlier step": "route",
    "`repeat: 3` stands beside the op of a step": "repeat",
    "the document's `input`, whose value enters the first step": "input inputlayer data",
    "the last value is the output; `outputs: [...]` names others": "output",
    "softmax; a spec has no loss": "softmaxwithloss",
}
"""What to write instead, where that is more than a name (`op; a remark` where an op is meant) -> what people type."""

NO_OP = frozenset(
    """
    conv1d conv3d matmul bilinearlayer groupnorm gn instancenorm instancenorm2d instancenormalization
    groupnormalization weightnorm spectralnorm rmsnorm lppool lppool2d maxunpool2d maxunpool blurpool roipool
    roipooling spp elu selu celu softplus softsign mish hardtanh hardmish rrelu crelu threshold thresholdedrelu
    logsoftmax softmin glu swiglu geglu quickgelu tanhshrink hardshrink softshrink logsigmoid clip clamp hardmax
    exp log abs neg sqrt square sin cos unsqueeze permute transpose pixelshuffle pixelunshuffle depthtospace
    spacetodepth focus tile expand gather reorg fold unfold gridsample argmax topk constant cast reflectionpad2d
    replicationpad2d reflectpad constantpad2d merge stack sub subtract minus div divide minimum min alphadropout
    dropblock gaussiandropout gaussiannoise biasadd bias crossentropyloss lambda embedding lstm rnn attention
    multiheadattention selfattention transformer yolo detect silence ppm aspp cspblock c2f
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
    "`scale` is how many times larger the map becomes: `upsample: {scale: 2, mode: bilinear}`": "upsample_size",
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
    "the padding is zeros: leave it out": "paddingmode",
    "there are no indices: leave it out": "returnindices",
    "the statistics are always kept: leave it out": "trackrunningstats",
    "the centres of pixels are at half, PyTorch's align_corners=False: leave it out": "aligncorners",
    "it goes over the channels or features: leave it out": "axis dim",
    "it keeps the batch: leave it out": "startdim",
    "a name is written with `=`: `name = op: arguments`": "name",
    "a normalisation is a step of its own, such as `- batch_norm`": "norm normlayer",
}
"""What to do instead -> what people type; `op_argument` is of one op alone."""

_KEYS = {
    "body": "layers network model architecture backbone steps graph forward sequential",
    "input": "inputs inputshape inputsize",
    "inputs": "input",
    "use": "import imports include includes requires uses",
    "params": "parameters args arguments hyperparameters config options kwargs param",
    "blocks": "modules functions defs definitions block macros",
    "outputs": "output heads returns return",
    "let": "variables constants vars locals where",
    "doc": "description comment docs help",
}
"""The keys of a document or block that are meant -> what people type."""

_KEYWORDS = {
    "when": "if condition cond enabled",
    "repeat": "times repeats loop number count",
    "for": "foreach",
    "from": "input inputs bottom source src inputfrom",
    "share": "shared tie weightsharing shareweights reuse",
    "doc": "description comment",
    "a name is written before the op, with `=`: `name = op: arguments`": "name id",
}
"""The keywords that are meant -> what people type."""

_VALUES = {
    "in.channels": "inchannels cin inplanes channels c inputchannels nin ch",
    "in.height": "height h inheight",
    "in.width": "width w inwidth",
    "in.features": "infeatures features",
}
"""What is meant in an expression -> what people type."""

JOINS = {
    "mean": "the mean over height and width is `global_avg_pool`; `mean` joins branches or the values of `from`",
    "max": "a window's largest value is `max_pool`; `max` joins branches or the values of `from`",
    "add": "a constant is added by `affine: {shift: ...}`; `add` joins branches or the values of `from`",
    "mul": "a constant factor is `affine: {scale: ...}`; `mul` joins branches or the values of `from`",
    "concat": "it always goes along the channels, and joins branches or the values of `from`",
}
"""What may be meant where numbers are given to a join."""

KEYS: dict[str, list[str]] = {}
for _meant, _names in _KEYS.items():
    for _name in _names.split():
        KEYS.setdefault(_name, []).append(_meant)
KEYWORDS = {name: meant for meant, names in _KEYWORDS.items() for name in names.split()}
VALUES = {name: meant for meant, names in _VALUES.items() for name in names.split()}
TYPES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "tuple": "size",
    "array": "list",
    "module": "block",
    "layer": "block",
    "function": "block",
    "double": "float",
}
"""Types of parameters -> those of netspec."""
OPS = {name: meant for table in (_OPS, _SAID) for meant, names in table.items() for name in names.split()}
ARGUMENTS = {name: meant.split() for meant, names in _ARGUMENTS.items() for name in names.split()}
SAID_OF_ARGUMENTS = {
    name.replace("_", " "): said for said, names in _SAID_OF_ARGUMENTS.items() for name in names.split()
}


def normal(name: str) -> str:
    """A name as it stands in the tables."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())


def value_name_help(name: str, known: Sequence[str]) -> str:
    """The help for a value that nobody knows in an expression."""
    if name in ("True", "False"):
        return f"write `{name.lower()}`"
    if name == "None":
        return "there is no null"
    meant = VALUES.get(normal(name))
    return f"`{meant}` is that of what enters the step" if meant is not None and nearest(name, known) is None else ""
