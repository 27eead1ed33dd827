"""Neural networks: modules that hold tensors and are formulas over the op table.

Names of parameters and layouts of weights are torch's, so that a torch `state_dict` loads as it is:

    network = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    network.load("digits.safetensors").eval()
    model = martlet.trace(network, martlet.TensorSpec((1, 784)))
"""

from __future__ import annotations

from martlet.nn.activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    Hardsigmoid,
    Hardtanh,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from martlet.nn.attention import MultiHeadAttention
from martlet.nn.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
)
from martlet.nn.module import LoadedKeys, Module, Sequential
from martlet.nn.recurrent import LSTM

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "LSTM",
    "Activation",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Hardsigmoid",
    "Hardtanh",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LoadedKeys",
    "MaxPool2d",
    "Module",
    "MultiHeadAttention",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]
