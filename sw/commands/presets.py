"""`weft presets`."""


def presets() -> None:
    """List the presets and the sizes they stand for."""
    from rich.console import Console
    from rich.table import Table
    from weft.gen.presets import PRESETS

    table = Table(box=None, pad_edge=False)
    table.add_column("preset")
    heads = ("array", "MACs/cycle", "weights", "scratchpad", "accumulators", "lanes", "memory port")
    for head in heads:
        table.add_column(head, justify="right")
    for name, config in PRESETS.items():
        table.add_row(
            name,
            f"{config.rows}x{config.cols}",
            str(config.macs_per_cycle),
            f"{config.weight_tiles * config.rows * config.cols >> 10} KiB",
            f"{config.scratchpad_bytes >> 10} KiB",
            f"2 x {config.accumulators} x {config.cols}",
            str(config.lanes),
            f"{config.memory_width} bits",
        )
    Console(width=100).print(table)
