"""What users write, for mypy --strict and pyright; it also runs."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import martlet
from martlet import Tensor, nn

array: NDArray[np.float32] = np.ones((2, 2), np.float32)
x = martlet.asarray([[1.0, 2.0], [3.0, 4.0]])
i = martlet.asarray([1, 2, 3])
b = i > 2

results: list[Tensor] = [
    x + x, x + 1, 1 + x, x + 1.5, x + array, x + np.float32(1), x - 1, 1 - x, x * 2, 2.0 * x, x / 2, 2 / x,
    x // 2, 7 // x, x % 2, 7 % x, x**2, 2**x, x @ x.T, x @ array, -x, +x, abs(x),
    i & 1, 1 & i, i | 1, 1 | i, i ^ 1, 1 ^ i, i << 1, 1 << i, i >> 1, 8 >> i, ~i, ~b, b & b, b | True,
    x < 1, x <= x, x > 1.0, x >= array, x == 1, x != x, x > 1,
    x[0], x[0, 1], x[..., 0], x[None], x[x > 1], x[i[:1] - 1], x[::-1], x.T, x.mT, x.real,
    x.sum(), x.mean(0), x.max((0, 1)), x.reshape(4), x.reshape((1, 4)), x.relu(), x.exp(), x.astype("float64"),
    x.to("cpu"), x.copy(), x.transpose(1, 0), x.clip(0, 1), x.softmax(),
]  # fmt: skip
x += 1
x -= 1
x *= 2
x /= 2
x //= 1
x %= 5
x **= 2
x @= x
i &= 3
i |= 1
i ^= 2
i <<= 1
i >>= 1
x[0] = 1
x[0, :] = x[1]
x[x > 1e6] = 0.0

for row in x:
    results.append(row + 1)
first: float = float(x[0, 0])
whole: int = int(i[0])
truth: bool = bool(b[0])
number: complex = complex(x[0, 0])
length: int = len(x)
text: str = f"{x} {x!r} {x[0, 0]:.2f}"
inside: bool = 1 in i
shape: tuple[int, ...] = x.shape
dtype: np.dtype[Any] = x.dtype
back: NDArray[Any] = x.numpy()
seen: NDArray[Any] = np.asarray(x)
view = memoryview(x)
listed: Any = x.tolist()
hashed: int = hash(x)
indexed: int = [1, 2, 3][i[0] % 3]

total: Tensor = martlet.sum(x, axis=0) + martlet.max(x) * martlet.pi
joined: Tensor = martlet.concat([x, x], axis=1)
where: Tensor = martlet.where(x > 1, x, martlet.zeros_like(x))
solved: Tensor = martlet.linalg.inv(martlet.eye(2))
waves: Tensor = martlet.fft.rfft(martlet.arange(8, dtype=martlet.float32))
activated: Tensor = martlet.functional.relu(x)
values, inverse = martlet.unique_inverse(i)
kind: np.dtype[Any] = martlet.result_type(x, 1.0)


def rejected() -> None:
    """Checkers find these; mypy --strict complains of a remark that it does not need."""
    x + "text"  # type: ignore[operator]
    x @ 2  # type: ignore[operator]
    results.append(x.nothing)  # type: ignore[attr-defined]
    results.append(martlet.nothing)  # type: ignore[attr-defined]
    martlet.load(7)  # type: ignore[arg-type]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 3)
        self.norm = nn.LayerNorm((3,))

    def forward(self, value: Tensor) -> Tensor:
        result: Tensor = self.norm(self.inner(value)).relu()
        return result


network = nn.Sequential(Block(), nn.ReLU(), nn.Linear(3, 1)).eval()
answered: Tensor = network(martlet.ones((1, 2)))
parameters: list[Tensor] = list(network.parameters())
model: martlet.Model = martlet.trace(network, martlet.TensorSpec((1, 2)))
outputs: dict[str, NDArray[Any]] = model.predict({model.inputs[0].name: np.ones((1, 2), np.float32)})
batch = model.predict_batch([{model.inputs[0].name: [[1.0, 2.0]]}])
port: martlet.Port = model.inputs[0]
sizes: tuple[int, ...] = port.shape
plan: martlet.Plan = model.plan()
steps: list[str] = [step.kernel for step in plan]


async def later() -> dict[str, NDArray[Any]]:
    return await model.predict_async({model.inputs[0].name: np.ones((1, 2), np.float32)})


asyncio.run(later())

COUNTER = """program(1.3) { func main<ios18>(state<tensor<fp32, [4]>> s, tensor<fp32, [4]> x) {
    r = read_state(input = s); n = add(x = r, y = x); u = coreml_update_state(state = s, value = n);
} -> (u); }"""
counter = martlet.parse(COUNTER)
state: martlet.State = counter.make_state()
counter.predict({"x": np.ones(4, np.float32)}, state=state)
kept: NDArray[Any] = state["s"]

names: list[str] = [each["name"] for each in martlet.devices()]
version: str = martlet.info()["version"]
selector = martlet.SmartDeviceSelector()
chosen: martlet.Choice = selector.select_device(martlet.OperationProfile("matmul", (256, 256)))
cache: martlet.DeviceCache = martlet.DeviceCache.global_()
available: bool = cache.is_device_available("cpu")
with martlet.profile() as profile:
    results.append(x + x)
runs: int = len(profile.runs)
config = martlet.CoreMLBackendConfig(max_cache_size=10)
backend = martlet.CoreMLBackend(config)
rate: float = backend.get_stats().cache_hit_rate()
hits: int = backend.get_stats().cache_hits


@martlet.custom_op("twice_for_types")
def twice(value: NDArray[np.float32]) -> NDArray[np.float32]:
    return value * 2


doubled: Any = twice(array)
function: Callable[..., Any] = martlet.tanh
error: type[Exception] = martlet.InvalidArgumentError
martlet.set_num_threads(0)
