"""MNIST's files, with other images."""


def write_mnist(folder, images, labels):
    """The two files of MNIST's test images."""
    folder.mkdir()
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / f"t10k-{name}-ubyte").write_bytes(header + array.tobytes())
