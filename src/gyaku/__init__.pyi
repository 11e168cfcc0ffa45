# Made by tools/make_docs.py from the registry of operations; do not edit.
from typing import Any
from builtins import float as _float
from builtins import bool as _bool
from builtins import int as _int
from gyaku.backend.dtypes import dtype as _dtype
from gyaku.backend.devices import device as _device

from gyaku.backend.devices import device as device
from gyaku.backend.dtypes import dtype as dtype
from gyaku.backend.dtypes import finfo as finfo
from gyaku.backend.dtypes import get_default_dtype as get_default_dtype
from gyaku.backend.dtypes import iinfo as iinfo
from gyaku.backend.dtypes import set_default_dtype as set_default_dtype
from gyaku.backend.random import Generator as Generator
from gyaku.backend.random import get_rng_state as get_rng_state
from gyaku.backend.random import initial_seed as initial_seed
from gyaku.backend.random import manual_seed as manual_seed
from gyaku.backend.random import set_rng_state as set_rng_state
from gyaku.backend.threads import get_num_threads as get_num_threads
from gyaku.backend.threads import set_num_threads as set_num_threads
from gyaku.core.mode import enable_grad as enable_grad
from gyaku.core.mode import inference_mode as inference_mode
from gyaku.core.mode import is_grad_enabled as is_grad_enabled
from gyaku.core.mode import no_grad as no_grad
from gyaku.core.mode import set_grad_enabled as set_grad_enabled
from gyaku.core.tensor import Size as Size
from gyaku.core.tensor import Tensor as Tensor
from gyaku.compiler import compile as compile
from gyaku.io import load as load
from gyaku.explain import record as record
from gyaku.io import save as save
from gyaku.explain.summary import summary as summary
from gyaku.doctor.examine import examine as doctor
from gyaku.explain.build import explain as explain
from gyaku import autograd as autograd
from gyaku import check as check
from gyaku import compiler as compiler
from gyaku import cuda as cuda
from gyaku import data as data
from gyaku import energy as energy
from gyaku import layers as layers
from gyaku import models as models
from gyaku import nn as nn
from gyaku import optim as optim
from gyaku import train as train
from gyaku import utils as utils
from gyaku.ops.activation import log_softmax as log_softmax
from gyaku.ops.activation import prelu as prelu
from gyaku.ops.activation import relu as relu
from gyaku.ops.activation import selu as selu
from gyaku.ops.activation import sigmoid as sigmoid
from gyaku.ops.activation import softmax as softmax
from gyaku.ops.arithmetic import add as add
from gyaku.ops.arithmetic import addcdiv as addcdiv
from gyaku.ops.arithmetic import addcmul as addcmul
from gyaku.ops.arithmetic import div as div
from gyaku.ops.arithmetic import div as divide
from gyaku.ops.arithmetic import floor_divide as floor_divide
from gyaku.ops.arithmetic import fmod as fmod
from gyaku.ops.arithmetic import lerp as lerp
from gyaku.ops.arithmetic import mul as mul
from gyaku.ops.arithmetic import mul as multiply
from gyaku.ops.arithmetic import neg as neg
from gyaku.ops.arithmetic import neg as negative
from gyaku.ops.arithmetic import positive as positive
from gyaku.ops.arithmetic import pow as pow
from gyaku.ops.arithmetic import reciprocal as reciprocal
from gyaku.ops.arithmetic import remainder as remainder
from gyaku.ops.arithmetic import rsqrt as rsqrt
from gyaku.ops.arithmetic import sqrt as sqrt
from gyaku.ops.arithmetic import square as square
from gyaku.ops.arithmetic import sub as sub
from gyaku.ops.arithmetic import sub as subtract
from gyaku.ops.arithmetic import div as true_divide
from gyaku.ops.choose import clamp as clamp
from gyaku.ops.choose import clamp_max as clamp_max
from gyaku.ops.choose import clamp_min as clamp_min
from gyaku.ops.choose import clamp as clip
from gyaku.ops.choose import heaviside as heaviside
from gyaku.ops.choose import masked_fill as masked_fill
from gyaku.ops.choose import maximum as maximum
from gyaku.ops.choose import minimum as minimum
from gyaku.ops.choose import where as where
from gyaku.ops.compare import allclose as allclose
from gyaku.ops.compare import bitwise_and as bitwise_and
from gyaku.ops.compare import bitwise_not as bitwise_not
from gyaku.ops.compare import bitwise_or as bitwise_or
from gyaku.ops.compare import bitwise_xor as bitwise_xor
from gyaku.ops.compare import eq as eq
from gyaku.ops.compare import equal as equal
from gyaku.ops.compare import ge as ge
from gyaku.ops.compare import gt as greater
from gyaku.ops.compare import ge as greater_equal
from gyaku.ops.compare import gt as gt
from gyaku.ops.compare import isclose as isclose
from gyaku.ops.compare import isfinite as isfinite
from gyaku.ops.compare import isinf as isinf
from gyaku.ops.compare import isnan as isnan
from gyaku.ops.compare import le as le
from gyaku.ops.compare import lt as less
from gyaku.ops.compare import le as less_equal
from gyaku.ops.compare import logical_and as logical_and
from gyaku.ops.compare import logical_not as logical_not
from gyaku.ops.compare import logical_or as logical_or
from gyaku.ops.compare import logical_xor as logical_xor
from gyaku.ops.compare import lt as lt
from gyaku.ops.compare import ne as ne
from gyaku.ops.compare import ne as not_equal
from gyaku.ops.creation import arange as arange
from gyaku.ops.creation import as_tensor as as_tensor
from gyaku.ops.creation import detach as detach
from gyaku.ops.creation import empty as empty
from gyaku.ops.creation import empty_like as empty_like
from gyaku.ops.creation import eye as eye
from gyaku.ops.creation import from_dlpack as from_dlpack
from gyaku.ops.creation import from_numpy as from_numpy
from gyaku.ops.creation import full as full
from gyaku.ops.creation import full_like as full_like
from gyaku.ops.creation import is_floating_point as is_floating_point
from gyaku.ops.creation import is_tensor as is_tensor
from gyaku.ops.creation import linspace as linspace
from gyaku.ops.creation import meshgrid as meshgrid
from gyaku.ops.creation import numel as numel
from gyaku.ops.creation import ones as ones
from gyaku.ops.creation import ones_like as ones_like
from gyaku.ops.creation import tensor as tensor
from gyaku.ops.creation import zeros as zeros
from gyaku.ops.creation import zeros_like as zeros_like
from gyaku.ops.cumulative import cumprod as cumprod
from gyaku.ops.cumulative import cumsum as cumsum
from gyaku.ops.draw import bernoulli as bernoulli
from gyaku.ops.draw import multinomial as multinomial
from gyaku.ops.draw import normal as normal
from gyaku.ops.draw import rand as rand
from gyaku.ops.draw import rand_like as rand_like
from gyaku.ops.draw import randint as randint
from gyaku.ops.draw import randint_like as randint_like
from gyaku.ops.draw import randn as randn
from gyaku.ops.draw import randn_like as randn_like
from gyaku.ops.draw import randperm as randperm
from gyaku.ops.elementwise import abs as abs
from gyaku.ops.elementwise import abs as absolute
from gyaku.ops.elementwise import ceil as ceil
from gyaku.ops.elementwise import erf as erf
from gyaku.ops.elementwise import exp as exp
from gyaku.ops.elementwise import expm1 as expm1
from gyaku.ops.elementwise import trunc as fix
from gyaku.ops.elementwise import floor as floor
from gyaku.ops.elementwise import frac as frac
from gyaku.ops.elementwise import log as log
from gyaku.ops.elementwise import log10 as log10
from gyaku.ops.elementwise import log1p as log1p
from gyaku.ops.elementwise import log2 as log2
from gyaku.ops.elementwise import round as round
from gyaku.ops.elementwise import sign as sign
from gyaku.ops.elementwise import trunc as trunc
from gyaku.ops.extremes import amax as amax
from gyaku.ops.extremes import amin as amin
from gyaku.ops.extremes import argmax as argmax
from gyaku.ops.extremes import argmin as argmin
from gyaku.ops.extremes import max as max
from gyaku.ops.extremes import min as min
from gyaku.ops.index import gather as gather
from gyaku.ops.index import index_select as index_select
from gyaku.ops.index import masked_select as masked_select
from gyaku.ops.index import nonzero as nonzero
from gyaku.ops.index import scatter as scatter
from gyaku.ops.index import scatter_add as scatter_add
from gyaku.ops.index import take_along_dim as take_along_dim
from gyaku.ops.inplace import detach_ as detach_
from gyaku.ops.inplace import fill_ as fill_
from gyaku.ops.inplace import zero_ as zero_
from gyaku.ops.join import cat as cat
from gyaku.ops.join import chunk as chunk
from gyaku.ops.join import cat as concat
from gyaku.ops.join import cat as concatenate
from gyaku.ops.join import diag as diag
from gyaku.ops.join import diagonal as diagonal
from gyaku.ops.join import flip as flip
from gyaku.ops.join import hstack as hstack
from gyaku.ops.join import narrow as narrow
from gyaku.ops.join import repeat_interleave as repeat_interleave
from gyaku.ops.join import roll as roll
from gyaku.ops.join import split as split
from gyaku.ops.join import stack as stack
from gyaku.ops.join import tile as tile
from gyaku.ops.join import tril as tril
from gyaku.ops.join import triu as triu
from gyaku.ops.join import unbind as unbind
from gyaku.ops.join import vstack as vstack
from gyaku.ops.linalg import addmm as addmm
from gyaku.ops.linalg import bmm as bmm
from gyaku.ops.linalg import dot as dot
from gyaku.ops.linalg import einsum as einsum
from gyaku.ops.linalg import outer as ger
from gyaku.ops.linalg import matmul as matmul
from gyaku.ops.linalg import mm as mm
from gyaku.ops.linalg import mv as mv
from gyaku.ops.linalg import outer as outer
from gyaku.ops.linalg import tensordot as tensordot
from gyaku.ops.reduce import all as all
from gyaku.ops.reduce import any as any
from gyaku.ops.reduce import count_nonzero as count_nonzero
from gyaku.ops.reduce import logsumexp as logsumexp
from gyaku.ops.reduce import mean as mean
from gyaku.ops.reduce import norm as norm
from gyaku.ops.reduce import prod as prod
from gyaku.ops.reduce import std as std
from gyaku.ops.reduce import std_mean as std_mean
from gyaku.ops.reduce import sum as sum
from gyaku.ops.reduce import var as var
from gyaku.ops.reduce import var_mean as var_mean
from gyaku.ops.shape import broadcast_to as broadcast_to
from gyaku.ops.shape import clone as clone
from gyaku.ops.shape import flatten as flatten
from gyaku.ops.shape import movedim as moveaxis
from gyaku.ops.shape import movedim as movedim
from gyaku.ops.shape import permute as permute
from gyaku.ops.shape import ravel as ravel
from gyaku.ops.shape import reshape as reshape
from gyaku.ops.shape import squeeze as squeeze
from gyaku.ops.shape import transpose as swapaxes
from gyaku.ops.shape import transpose as swapdims
from gyaku.ops.shape import t as t
from gyaku.ops.shape import transpose as transpose
from gyaku.ops.shape import unflatten as unflatten
from gyaku.ops.shape import unsqueeze as unsqueeze
from gyaku.ops.sort import argsort as argsort
from gyaku.ops.sort import bincount as bincount
from gyaku.ops.sort import sort as sort
from gyaku.ops.sort import topk as topk
from gyaku.ops.sort import unique as unique
from gyaku.ops.trigonometry import acos as acos
from gyaku.ops.trigonometry import acos as arccos
from gyaku.ops.trigonometry import asin as arcsin
from gyaku.ops.trigonometry import atan as arctan
from gyaku.ops.trigonometry import asin as asin
from gyaku.ops.trigonometry import atan as atan
from gyaku.ops.trigonometry import cos as cos
from gyaku.ops.trigonometry import cosh as cosh
from gyaku.ops.trigonometry import sin as sin
from gyaku.ops.trigonometry import sinh as sinh
from gyaku.ops.trigonometry import tan as tan
from gyaku.ops.trigonometry import tanh as tanh

def abs_(input: Tensor) -> Tensor:
    ...
def acos_(input: Tensor) -> Tensor:
    ...
def asin_(input: Tensor) -> Tensor:
    ...
def atan_(input: Tensor) -> Tensor:
    ...
def ceil_(input: Tensor) -> Tensor:
    ...
def clamp_(input: Tensor, min: Any=..., max: Any=...) -> Tensor:
    ...
def clamp_max_(input: Tensor, max: Any) -> Tensor:
    ...
def clamp_min_(input: Tensor, min: Any) -> Tensor:
    ...
def clip_(input: Tensor, min: Any=..., max: Any=...) -> Tensor:
    ...
def cos_(input: Tensor) -> Tensor:
    ...
def cosh_(input: Tensor) -> Tensor:
    ...
def erf_(input: Tensor) -> Tensor:
    ...
def exp_(input: Tensor) -> Tensor:
    ...
def expm1_(input: Tensor) -> Tensor:
    ...
def floor_(input: Tensor) -> Tensor:
    ...
def frac_(input: Tensor) -> Tensor:
    ...
def log10_(input: Tensor) -> Tensor:
    ...
def log1p_(input: Tensor) -> Tensor:
    ...
def log2_(input: Tensor) -> Tensor:
    ...
def log_(input: Tensor) -> Tensor:
    ...
def neg_(input: Tensor) -> Tensor:
    ...
def negative_(input: Tensor) -> Tensor:
    ...
def reciprocal_(input: Tensor) -> Tensor:
    ...
def relu_(input: Tensor, inplace: _bool=...) -> Tensor:
    ...
def round_(input: Tensor, *, decimals: _int=...) -> Tensor:
    ...
def rsqrt_(input: Tensor) -> Tensor:
    ...
def sigmoid_(input: Tensor) -> Tensor:
    ...
def sin_(input: Tensor) -> Tensor:
    ...
def sinh_(input: Tensor) -> Tensor:
    ...
def sqrt_(input: Tensor) -> Tensor:
    ...
def square_(input: Tensor) -> Tensor:
    ...
def tan_(input: Tensor) -> Tensor:
    ...
def tanh_(input: Tensor) -> Tensor:
    ...
def trunc_(input: Tensor) -> Tensor:
    ...
bool: dtype
uint8: dtype
int8: dtype
int16: dtype
int32: dtype
int64: dtype
float16: dtype
float32: dtype
float64: dtype
float: dtype
double: dtype
half: dtype
long: dtype
int: dtype
short: dtype
__version__: str
