"""`weft boards`."""


def boards() -> None:
    """List the boards that a bitstream can be built for."""
    from rich.table import Table
    from weft.fpga.boards import BOARDS

    from .progress import standard_output

    table = Table(box=None, pad_edge=False)
    table.add_column("board")
    for head in ("what it is", "device"):
        table.add_column(head)
    for head in ("array", "memory", "clock"):
        table.add_column(head, justify="right")
    table.add_column("serial line")
    for name, board in BOARDS.items():
        table.add_row(
            name,
            board.title,
            board.device.name,
            f"{board.config.rows}x{board.config.cols}",
            f"{board.memory_bytes >> 10} KiB",
            f"{board.clock_hz / 1e6:g} MHz",
            board.line,
        )
    standard_output().print(table)
