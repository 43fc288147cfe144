"""A package for Vivado: an NPU as an IP core, and a script that puts it beside a Zynq's processor.

No Vivado has run on it here: see docs/boards.md for what was checked.
"""

from pathlib import Path

from weft.rtl.config import Config
from weft.rtl.npu import Npu

from .describe import to_header, to_json
from .files import replace_files
from .generate import NAME
from .ipxact import LIBRARY, VENDOR, component_xml
from .verilog import to_verilog

CORE = "weft_npu"
CLOCK_MHZ = 100

SCRIPT = """\
# Vivado, in this folder: vivado -mode batch -source build.tcl
# Makes weft.bit and weft.hwh for a PYNQ-Z2: copy both to the board, side by side.
set here [file dirname [file normalize [info script]]]
create_project weft $here/project -part xc7z020clg400-1 -force
set_property ip_repo_paths $here [current_project]
update_ip_catalog

create_bd_design weft
create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7 ps
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \\
  -config {{make_external "FIXED_IO, DDR"}} [get_bd_cells ps]
set_property -dict [list CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ {{{mhz}}} CONFIG.PCW_USE_S_AXI_HP0 {{1}} \\
  CONFIG.PCW_S_AXI_HP0_DATA_WIDTH {{{hp_width}}} CONFIG.PCW_USE_FABRIC_INTERRUPT {{1}} CONFIG.PCW_IRQ_F2P_INTR {{1}}] \\
  [get_bd_cells ps]
create_bd_cell -type ip -vlnv {vendor}:{library}:{core}:1.0 npu
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory
set_property CONFIG.NUM_SI {{1}} [get_bd_cells control]
set_property CONFIG.NUM_SI {{1}} [get_bd_cells memory]

set clock [get_bd_pins ps/FCLK_CLK0]
foreach pin {{ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK npu/clk reset/slowest_sync_clk control/aclk memory/aclk}} {{
  connect_bd_net $clock [get_bd_pins $pin]
}}
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins npu/rst]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins control/aresetn] [get_bd_pins memory/aresetn]
connect_bd_net [get_bd_pins npu/interrupt] [get_bd_pins ps/IRQ_F2P]
connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_GP0] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins npu/s_axil]
connect_bd_intf_net [get_bd_intf_pins npu/m_axi] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0]
assign_bd_address
validate_bd_design
save_bd_design

make_wrapper -files [get_files weft.bd] -top -import
launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {{[get_property PROGRESS [get_runs impl_1]] != "100%"}} {{ error "no bitstream was made" }}
file copy -force $here/project/weft.runs/impl_1/weft_wrapper.bit $here/weft.bit
file copy -force [glob $here/project/weft.gen/sources_1/bd/weft/hw_handoff/weft.hwh] $here/weft.hwh
"""


def package(config: Config, folder: str | Path) -> list[Path]:
    """Write `component.xml`, `build.tcl`, and the files of `generate` into a folder, all or nothing.

    Raises
    ------
    ValueError
        For a configuration without AXI, or with a data bus wider than a Zynq's port to memory.
    OSError
        When the folder cannot be made or written.
    """
    if config.axi and config.axi_width > 64:
        raise ValueError(f"a Zynq's port to memory has 64 bits: axi_width must be at most that, not {config.axi_width}")
    folder = Path(folder)
    npu = Npu(config)
    script = SCRIPT.format(mhz=CLOCK_MHZ, hp_width=config.axi_width, vendor=VENDOR, library=LIBRARY, core=CORE)
    texts = {
        "component.xml": component_xml(config, npu, CORE, [f"{CORE}.v"]),
        "build.tcl": script,
        f"{CORE}.v": to_verilog(npu, CORE, config),
        f"{NAME}.json": to_json(config, npu, CORE),
        f"{NAME}.h": to_header(config, NAME),
    }
    folder.mkdir(parents=True, exist_ok=True)
    replace_files(folder, texts)
    return [folder / name for name in texts]
