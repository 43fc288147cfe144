"""Train LeNet-5 on handwritten digits, quantize it to int8, write ONNX: `python -m weft.sw.train_lenet`.

The network is the classic one with ReLU and max pooling, 416,520 multiply-accumulates an image:
28x28x1, convolution 6@5x5 padded by 2, pool 2x2, convolution 16@5x5, pool 2x2, 400-120-84-10.

It learns from MNIST's 60,000 training images and from the even half of scikit-learn's digits. Nothing is
chosen by looking at test images: no epoch, no seed. One machine gives the same file every time; another kind
of processor may add floats in another order and give slightly different weights.
"""

import importlib.util
import shutil
import tempfile
import time
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import numpy as np
import onnx
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from weft.sw.datasets import Digits, read_mnist, scikit_digits, to_input
from weft.sw.errors import UserError

if TYPE_CHECKING:
    import torch

INPUT, OUTPUT = "image", "logits"
OPSET = 17
EPOCHS = 12
SEED = 0
BATCH = 128
LEARNING_RATE = 4e-3
LABEL_SMOOTHING = 0.05
DIGITS_REPEAT = 4
CALIBRATION_IMAGES = 1000
# largest random distortion of a training image: degrees, share, share, pixels
ROTATION, ZOOM, SHEAR, SHIFT = 12.0, 0.10, 0.15, 2.5
# the number of threads sets the order of float additions, so it is part of the recipe
THREADS = 2


def training_set(mnist: Digits, digits: Digits) -> Digits:
    """MNIST followed by DIGITS_REPEAT copies of the far fewer digits of scikit-learn."""
    copies = [digits] * DIGITS_REPEAT
    return Digits(
        np.concatenate([mnist.images, *(copy.images for copy in copies)]),
        np.concatenate([mnist.labels, *(copy.labels for copy in copies)]),
    )


def calibration_images(data: Digits, seed: int = SEED) -> np.ndarray:
    """CALIBRATION_IMAGES different rows of `data`, or all of them if it has fewer: (N, 28, 28) uint8."""
    rows = np.random.default_rng(seed).permutation(len(data.images))[:CALIBRATION_IMAGES]
    chosen: np.ndarray = data.images[np.sort(rows)]
    return chosen


def build() -> "torch.nn.Module":
    """LeNet-5 with fresh weights: (N, 1, 28, 28) float32 to (N, 10) float32."""
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(400, 120),
            relu3=nn.ReLU(),
            fc2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            fc3=nn.Linear(84, 10),
        )
    )


def distort(images: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    """Each image turned, zoomed, sheared and moved by its own random amounts; same shape, zeros outside."""
    import torch
    from torch.nn import functional

    def random(limit: float) -> torch.Tensor:
        return (2 * torch.rand(len(images), generator=generator) - 1) * limit

    angle, zoom, shear = random(np.deg2rad(ROTATION)), 1 + random(ZOOM), random(SHEAR)
    half_width = images.shape[-1] / 2  # affine_grid measures from -1 to 1
    to_x = torch.stack([zoom * angle.cos(), zoom * (shear - angle.sin()), random(SHIFT / half_width)], 1)
    to_y = torch.stack([zoom * angle.sin(), zoom * angle.cos(), random(SHIFT / half_width)], 1)
    grid = functional.affine_grid(torch.stack([to_x, to_y], 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(data: Digits, epochs: int, seed: int, console: Console) -> "torch.nn.Module":
    """Train a new network on `data`; every epoch but the last distorts the images."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    batches = len(data.images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    labels = torch.from_numpy(data.labels.astype(np.int64))
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("training", total=epochs * batches)
        for epoch in range(epochs):
            order = torch.randperm(len(labels), generator=generator)
            for rows in order[: batches * BATCH].view(batches, BATCH):
                images = torch.from_numpy(to_input(data.images[rows.numpy()]))
                if epoch + 1 < epochs:
                    images = distort(images, generator)
                logits = network(images)
                loss = functional.cross_entropy(logits, labels[rows], label_smoothing=LABEL_SMOOTHING)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                progress.advance(bar)
    return network.eval()


def export(network: "torch.nn.Module", path: Path) -> None:
    """Write the float network as standard ONNX with any batch size."""
    import torch

    with warnings.catch_warnings():
        # the newer exporter, which the warning asks for, needs another package and cannot write opset 17
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 28, 28),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )


def quantize(source: Path, target: Path, calibration: np.ndarray) -> None:
    """Quantize a float ONNX file to int8 with QuantizeLinear/DequantizeLinear pairs, weights per channel.

    Activation ranges are the smallest and largest values seen with `calibration`, images (N, 28, 28) uint8.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(np.split(calibration, range(100, len(calibration), 100)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: to_input(batch)}

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        # plain shape inference is enough for this graph; the symbolic one would need sympy
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
    model = onnx.load(target)
    # preprocessing declares onnxruntime's own operator sets, and no node uses them
    standard = [opset for opset in model.opset_import if opset.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


def accuracy(path: Path, data: Digits) -> float:
    """Percentage of `data` that the ONNX file reads right, run by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    right = 0
    for start in range(0, len(data.labels), 1000):
        rows = slice(start, start + 1000)
        (logits,) = session.run([OUTPUT], {INPUT: to_input(data.images[rows])})
        right += int(np.count_nonzero(logits.argmax(axis=1) == data.labels[rows]))
    return 100 * right / len(data.labels)


def main(
    mnist: Annotated[Path, typer.Option(help="Folder with the four files of MNIST, plain or .gz.")],
    output: Annotated[Path, typer.Option(help="The int8 ONNX file to write.", dir_okay=False)],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = EPOCHS,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, distortion and calibration.")] = SEED,
) -> None:
    """Train LeNet-5, quantize it to int8, write it as ONNX and print how well it reads."""
    try:
        data, tests = gather(mnist, output)
    except UserError as error:
        fail(str(error))
    console = Console()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        files = {"float": Path(folder, "float.onnx"), "int8": Path(folder, "int8.onnx")}
        export(train(data, epochs, seed, console), files["float"])
        quantize(files["float"], files["int8"], calibration_images(data, seed))
        seconds = time.monotonic() - started
        table = Table("network", *(f"{name}, %" for name in tests), "bytes", caption=f"{seconds:.0f} s")
        for name, path in files.items():
            scores = [f"{accuracy(path, test):.2f}" for test in tests.values()]
            table.add_row(name, *scores, f"{path.stat().st_size:,}")
        console.print(table)
        try:
            shutil.copyfile(files["int8"], output)
        except OSError as error:
            fail(f"{output}: cannot be written ({error.strerror})")


def gather(mnist: Path, output: Path) -> tuple[Digits, dict[str, Digits]]:
    """Training images, and test images by name; raises UserError for what would stop the command later."""
    for package in ("torch", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"training needs {package}, which is not installed: pip install 'weft[train]'")
    if not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such folder, expected one to write {output.name} into")
    data = training_set(read_mnist(mnist, "train"), scikit_digits("train"))
    return data, {"MNIST test": read_mnist(mnist, "t10k"), "digits held": scikit_digits("held")}


def fail(sentence: str) -> NoReturn:
    """End the command with one sentence on standard error."""
    typer.echo(sentence, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    typer.run(main)
