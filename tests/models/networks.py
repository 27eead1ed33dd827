"""The networks in torch, written from their papers and sized like the published ones.

All but MiniLM get random weights. `networks.make(name)` seeds torch, so the weights are the same every time; batch
normalisation takes its statistics from data, so that no network drowns or explodes on its way.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def normalised_convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, activation: nn.Module | None = None
) -> nn.Sequential:
    """Convolution without bias, batch normalisation and, where given, an activation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers = [convolution, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, activation) if activation else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, filter each channel on its own, narrow without an activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widen = [normalised_convolution(inputs, hidden, 1, activation=nn.ReLU6())] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            normalised_convolution(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6()),
            normalised_convolution(hidden, outputs, 1),
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds_input else self.layers(x)


class MobileNetV2(nn.Module):
    """Sandler et al. 2018, width 1: image float [1, 3, 224, 224] -> logits float [1, 1000]."""

    # expansion, channels, repeats, stride of the first repeat
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [normalised_convolution(3, 32, 3, 2, activation=nn.ReLU6())]
        width = 32
        for expansion, channels, repeats, stride in self.stages:
            for repeat in range(repeats):
                layers.append(InvertedResidual(width, channels, stride if repeat == 0 else 1, expansion))
                width = channels
        layers.append(normalised_convolution(width, 1280, 1, activation=nn.ReLU6()))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.features(image).mean(dim=(2, 3)))


class Bottleneck(nn.Module):
    """ResNet's block of 1×1, 3×3 and 1×1 convolutions; the 3×3 one carries the stride, as in version 1.5."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.layers = nn.Sequential(
            normalised_convolution(inputs, width, 1, activation=nn.ReLU()),
            normalised_convolution(width, width, 3, stride, activation=nn.ReLU()),
            normalised_convolution(width, outputs, 1),
        )
        changes = stride > 1 or inputs != outputs
        self.shortcut = normalised_convolution(inputs, outputs, 1, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


class ResNet50(nn.Module):
    """He et al. 2015: image float [1, 3, 224, 224] -> logits float [1, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [normalised_convolution(3, 64, 7, 2, activation=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
        inputs = 64
        for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for block in range(blocks):
                layers.append(Bottleneck(inputs, width, stride if block == 0 else 1))
                inputs = 4 * width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(inputs, 1000)

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.features(image))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, length, width] -> [batch, heads, length, width / heads]."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """[batch, heads, length, depth] -> [batch, length, heads × depth]."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])


class BertLayer(nn.Module):
    """One encoder layer of BERT: normalisation after each sum, attention written out with an added mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3]) + mask
        x = self.attention_norm(x + self.output(join_heads(scores.softmax(dim=-1) @ value)))
        return self.norm(x + self.narrow(F.gelu(self.widen(x))))


class MiniLM(nn.Module):
    """all-MiniLM-L6-v2 with its real weights: a sentence encoder of 6 BERT layers.

    input_ids int32 [1, length] and attention_mask int32 [1, length] (1 where a token counts) -> last_hidden_state
    float [1, length, 384] and embedding float [1, 384], the mean of the tokens that count, scaled to length 1.
    """

    # Names in the published weight file, and ours.
    renames = (
        ("embeddings.word_embeddings", "words"),
        ("embeddings.position_embeddings", "positions"),
        ("embeddings.token_type_embeddings", "types"),
        ("embeddings.LayerNorm", "norm"),
        ("encoder.layer", "layers"),
        ("attention.self.", ""),
        ("attention.output.dense", "output"),
        ("attention.output.LayerNorm", "attention_norm"),
        ("intermediate.dense", "widen"),
        ("output.dense", "narrow"),
        ("output.LayerNorm", "norm"),
    )

    def __init__(self, weights: Path) -> None:
        super().__init__()
        width = 384
        self.words, self.positions, self.types = (nn.Embedding(size, width) for size in (30522, 512, 2))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(BertLayer(width, heads=12) for _ in range(6))
        self.load_state_dict(self.renamed(read_safetensors(weights)))

    @classmethod
    def renamed(cls, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        state = {}
        for name, array in arrays.items():
            if name.startswith("pooler.") or name == "embeddings.position_ids":
                continue
            for theirs, ours in cls.renames:
                name = name.replace(theirs, ours)
            state[name] = torch.from_numpy(array)
        return state

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        counts = attention_mask.to(self.words.weight.dtype)
        mask = (1.0 - counts)[:, None, None, :] * -10000.0
        x = self.norm(self.words(input_ids) + self.positions.weight[: input_ids.shape[1]] + self.types.weight[0])
        for layer in self.layers:
            x = layer(x, mask)
        weights = counts[:, :, None]
        mean = (x * weights).sum(dim=1) / weights.sum(dim=1)
        return x, mean / mean.pow(2).sum(dim=1, keepdim=True).sqrt()


class SelfAttention(nn.Module):
    """Attention through torch's own fused function; `key_bias=False` is Whisper's habit."""

    def __init__(self, width: int, heads: int, key_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.output = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=key_bias)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return self.output(join_heads(F.scaled_dot_product_attention(query, key, value)))


class EncoderLayer(nn.Module):
    """A transformer layer that normalises before attention and before the two wide layers."""

    def __init__(self, width: int, heads: int, epsilon: float, key_bias: bool = True) -> None:
        super().__init__()
        self.attention_norm, self.norm = nn.LayerNorm(width, eps=epsilon), nn.LayerNorm(width, eps=epsilon)
        self.attention = SelfAttention(width, heads, key_bias)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.narrow(F.gelu(self.widen(self.norm(x))))


class ViTTiny(nn.Module):
    """Dosovitskiy et al. 2020 in DeiT's tiny size: image float [1, 3, 224, 224] -> logits float [1, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        width, patch = 192, 16
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.5 * torch.randn(1, 1 + (224 // patch) ** 2, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, heads=3, epsilon=1e-6) for _ in range(12)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Linear(width, 1000)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token, patches), dim=1) + self.positions
        return self.classifier(self.norm(self.layers(x))[:, 0])


class DecoderLayer(nn.Module):
    """GPT-2's layer for one new token: its key and value are appended to those of the past."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, past_key: Tensor, past_value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.query_key_value(self.attention_norm(x)).split(x.shape[2], dim=2)
        query, key, value = (split_heads(part, self.heads) for part in parts)
        key, value = torch.cat((past_key, key), dim=2), torch.cat((past_value, value), dim=2)
        x = x + self.output(join_heads(F.scaled_dot_product_attention(query, key, value)))
        return x + self.narrow(F.gelu(self.widen(self.norm(x)), approximate="tanh")), key, value


class GPT2Step(nn.Module):
    """One token through a decoder of DistilGPT2's size; the words' table is also the last layer's weight.

    input_ids int32 [1, 1], position int32 [1, 1], then key and value of every layer float [1, 12, past, 64]
    -> logits float [1, 1, 50257], then key and value of every layer float [1, 12, past + 1, 64].
    """

    def __init__(self) -> None:
        super().__init__()
        width = 768
        self.words, self.positions = nn.Embedding(50257, width), nn.Embedding(1024, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads=12) for _ in range(6))
        self.norm = nn.LayerNorm(width)

    def forward(self, input_ids: Tensor, position: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        x = self.words(input_ids) + self.positions(position)
        present: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            x, key, value = layer(x, past[2 * index], past[2 * index + 1])
            present += [key, value]
        return F.linear(self.norm(x), self.words.weight), *present


class WhisperEncoder(nn.Module):
    """Radford et al. 2022, tiny size: mel float [1, 80, 3000] -> encoded float [1, 1500, 384]."""

    def __init__(self) -> None:
        super().__init__()
        width, length = 384, 1500
        self.first, self.second = nn.Conv1d(80, width, 3, padding=1), nn.Conv1d(width, width, 3, stride=2, padding=1)
        frequencies = torch.exp(-math.log(10000) / (width // 2 - 1) * torch.arange(width // 2))
        angles = torch.arange(length)[:, None] * frequencies
        self.register_buffer("positions", torch.cat((angles.sin(), angles.cos()), dim=1))
        self.layers = nn.Sequential(*(EncoderLayer(width, 6, epsilon=1e-5, key_bias=False) for _ in range(4)))
        self.norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.second(F.gelu(self.first(mel)))).transpose(1, 2)
        return self.norm(self.layers(x + self.positions))


class LSTM(nn.Module):
    """Two layers of 256: sequence float [1, 100, 256] -> the same, last hidden and cell states [2, 1, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(256, 256, num_layers=2, batch_first=True)

    def forward(self, sequence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, (hidden, cell) = self.layers(sequence)
        return output, hidden, cell


NETWORKS = {
    "mobilenet_v2": MobileNetV2,
    "resnet50": ResNet50,
    "vit_tiny": ViTTiny,
    "gpt2_step": GPT2Step,
    "whisper_encoder": WhisperEncoder,
    "lstm": LSTM,
}


def make(name: str, inputs: dict[str, np.ndarray], weights: Path | None = None) -> nn.Module:
    """The network called `name`, ready to run: with the weights of a file, or the same random ones every time.

    Where it normalises batches, `inputs` is an example to take statistics from.
    """
    torch.manual_seed(20)
    if name == "minilm":
        return MiniLM(weights).eval()
    network = NETWORKS[name]()
    network.apply(randomise)
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        settle_statistics(network, torch.from_numpy(inputs["image"]))
    return network.eval()


def randomise(module: nn.Module) -> None:
    """Weights that keep the scale of what passes through; biases and normalisations that are not trivial."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if isinstance(module, nn.Linear) else "relu")
        if module.bias is not None:
            nn.init.normal_(module.bias, std=0.1)
    elif isinstance(module, nn.BatchNorm2d):
        # Convolutions in a long chain with random weights are chaotic: 17 blocks turn the rounding of fp16 into 2 %.
        # Trained ones are not; neither are these, most of whose values pass their activation on its straight part.
        nn.init.uniform_(module.weight, 0.7, 1.3)
        nn.init.normal_(module.bias, mean=1, std=0.3)
    elif isinstance(module, nn.LayerNorm):
        nn.init.uniform_(module.weight, 0.7, 1.3)
        nn.init.normal_(module.bias, std=0.1)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)


def settle_statistics(network: nn.Module, image: Tensor) -> None:
    """Sets the mean and variance of every batch normalisation to those of shifted and mirrored copies of `image`."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain average over all batches
    copies = [image, image.flip(3), image.flip(2), image.roll(56, dims=3), 0.5 * image, image + torch.randn_like(image)]
    with torch.no_grad():
        network.train()(torch.cat(copies))


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Every array of a `.safetensors` file: a length, a JSON table of names, types and places, then the bytes."""
    types = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    contents = path.read_bytes()
    start = 8 + int.from_bytes(contents[:8], "little")
    table = json.loads(contents[8:start])
    table.pop("__metadata__", None)
    arrays = {}
    for name, entry in table.items():
        first, last = entry["data_offsets"]
        array = np.frombuffer(contents[start + first : start + last], types[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"]).copy()
    return arrays
