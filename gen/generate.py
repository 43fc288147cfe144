"""One configuration to a folder of files."""

from pathlib import Path

from weft.rtl.config import Config
from weft.rtl.npu import Npu

from .describe import to_header, to_json
from .files import replace_files
from .verilog import to_verilog

NAME = "npu"
"""The name of the top module and of the files."""


def generate(config: Config, folder: str | Path) -> list[Path]:
    """Write `npu.v`, `npu.json` and `npu.h`: the same configuration gives the same bytes.

    All texts exist before the first file is touched, and each file is replaced whole.

    Parameters
    ----------
    config
        The configuration.
    folder
        Where to; made if it does not exist.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OSError
        When the folder cannot be made or written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    npu = Npu(config)
    description = to_json(config, npu, NAME)
    texts = {
        f"{NAME}.v": to_verilog(npu, NAME, config),
        f"{NAME}.json": description,
        f"{NAME}.h": to_header(config, NAME),
    }
    replace_files(folder, texts)
    return [folder / name for name in texts]
