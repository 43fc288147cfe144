import json
import random
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from weft.gen.describe import ports, to_header, to_json
from weft.gen.presets import PRESETS
from weft.gen.verilog import to_verilog
from weft.rtl import isa, registers
from weft.rtl.config import Config
from weft.rtl.npu import Npu

TINY = PRESETS["tiny"]


def verilog_ports(verilog: str, name: str) -> set[tuple[str, str, int]]:
    """The ports that the module's text declares."""
    body = verilog[verilog.index(f"\nmodule {name}(") :]
    declared = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);$", body[: body.index("\nendmodule")], re.M)
    return {(port, direction, int(high or 0) + 1) for direction, high, port in declared}


@pytest.mark.parametrize("axi", [True, False])
def test_ports_are_those_of_the_verilog(axi: bool) -> None:
    npu = Npu(TINY.replace(axi=axi))
    found = ports(npu)
    expected = {(port["name"], port["direction"], port["width"]) for port in found}
    assert len(expected) == len(found)
    assert expected == verilog_ports(to_verilog(npu, "npu"), "npu")


def test_json_holds_parameters_sizes_and_digest() -> None:
    config = PRESETS["small"]
    npu = Npu(config)
    to_verilog(npu, "npu")
    description = json.loads(to_json(config, npu, "npu"))
    assert Config(**description["parameters"]) == config
    assert description["digest"] == config.digest
    assert description["interface_version"] == registers.INTERFACE_VERSION
    assert description["derived"]["weight_lines"] == config.weight_lines
    assert description["derived"]["digest32"] == config.digest32
    assert {"name": "clk", "direction": "input", "width": 1} in description["ports"]


def run_c(folder: Path, compiler: str, body: str, functions: str = "") -> str:
    """Compile a C program with npu.h, warnings being errors, and run it."""
    (folder / "npu.h").write_text(to_header(PRESETS["small"], "npu"))
    suffix, standard = {"gcc": (".c", "c99"), "g++": (".cpp", "c++11")}[compiler]
    source = folder / f"main{suffix}"
    include = '#include "npu.h"\n#include "npu.h"\n#include <stdio.h>\n'
    source.write_text(f"{include}{functions}int main(void) {{\n{body}\nreturn 0;\n}}\n")
    options = ["-Wall", "-Wextra", "-pedantic", "-Werror", f"-std={standard}"]
    subprocess.run([compiler, *options, "-o", "main", source.name], cwd=folder, check=True, timeout=60)
    program = str(folder / "main")
    return subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout


def expected_names() -> dict[str, int]:
    config = PRESETS["small"]
    expected = {name.upper(): int(value) for name, value in asdict(config).items()}
    expected |= {
        "WORD_BYTES": config.word_bytes,
        "WEIGHT_STEPS": config.weight_steps,
        "DIGEST32": config.digest32,
        "IDENTITY": registers.IDENTITY,
        "INTERFACE_VERSION": registers.INTERFACE_VERSION,
        "STATUS_DONE": 1 << registers.Status.DONE,
        "CONTROL_INTERRUPT_ENABLE": 1 << registers.Control.INTERRUPT_ENABLE,
        "INSTRUCTION_BYTES": isa.INSTRUCTION_BYTES,
    }
    expected |= {f"REG_{register.name}": register.offset for register in registers.REGISTERS}
    expected |= {f"UNIT_{unit.name}": unit.value for unit in registers.Unit}
    expected |= {f"ACTIVITY_{activity.name}": activity.value for activity in registers.Activity}
    expected |= {f"ERROR_{cause.name}": cause.value for cause in registers.ErrorCause}
    expected |= {f"ROUNDING_{rounding.name}": rounding.value for rounding in isa.Rounding}
    return expected


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_header_gives_c_the_values_that_python_has(tmp_path: Path, compiler: str) -> None:
    names = expected_names()
    body = "\n".join(f'printf("%llu\\n", (unsigned long long)WEFT_{name});' for name in names)
    printed = run_c(tmp_path, compiler, body).split()
    assert dict(zip(names, map(int, printed), strict=True)) == names


C_SET = """
static void set(unsigned char *raw, int bit, int bits, unsigned long long value) {
  for (int i = 0; i < bits; i++)
    if (value >> i & 1u)
      raw[(bit + i) / 8] |= (unsigned char)(1u << (bit + i) % 8);
}
"""


@pytest.mark.parametrize("seed", range(4))
def test_instruction_made_with_the_header_is_decoded(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    instructions, blocks = [], []
    for opcode in isa.LAYOUTS:
        values = {}
        settings = [("OPCODE", f"WEFT_OPCODE_{opcode.name}")]
        for name, (_, shape) in isa.fields(opcode).items():
            if not name.startswith("reserved"):
                low = -(1 << shape.width - 1) if shape.signed else 0
                values[name] = random_.randrange(low, low + (1 << shape.width))
                settings.append((f"{opcode.name}_{name.upper()}", f"{values[name]}LL"))
        instructions.append((opcode, values))
        lines = [
            f"set(raw, WEFT_{name}_BIT, WEFT_{name}_BITS, (unsigned long long){value});" for name, value in settings
        ]
        blocks.append(
            "{ unsigned char raw[WEFT_INSTRUCTION_BYTES] = {0};\n"
            + "\n".join(lines)
            + '\nfor (int i = 0; i < WEFT_INSTRUCTION_BYTES; i++)\nprintf("%02x", raw[i]);\nputs(""); }'
        )
    printed = run_c(tmp_path, "gcc", "\n".join(blocks), C_SET).split()
    decoded = [isa.decode(bytes.fromhex(line)) for line in printed]
    assert [(one.opcode, one.fields) for one in decoded] == instructions


def test_header_defines_no_name_twice() -> None:
    header = to_header(TINY, "npu")
    names = re.findall(r"^#define (\w+)", header, re.M) + re.findall(r"^  (\w+) =", header, re.M)
    assert len(names) == len(set(names))
    assert all(name.startswith("WEFT_") for name in names)
