"""Ways to break the RTL, to see whether the tests notice: the table of mutants."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One expression of the RTL and the wrong one that takes its place.

    `place` is a piece of the source of rtl/`module`.py that is there once; `right` is there once in `place`.
    """

    what: str
    module: str
    place: str
    right: str
    wrong: str


def _of(module: str, *mutants: tuple[str, str, str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(what, module, *change) for what, *change in mutants)


MUTANTS = (
    *_of(
        "feeder",
        ("x step off by one", "x.eq(x + held.x_step)", "x + held.x_step", "x + held.x_step + 1"),
        ("y step off by one", "y.eq(y + held.y_step)", "y + held.y_step", "y + held.y_step - 1"),
        ("kernel step in y taken for the stride", "y_ky + held.ky_step", "held.ky_step", "held.y_step"),
        ("kernel step in x taken for the stride", "x_kx + held.kx_step", "held.kx_step", "held.x_step"),
        (
            "row pitch of the kernel for that of the image", "next_row.eq(row + held.y_pitch)",
            "held.y_pitch", "held.ky_pitch",
        ),
        ("row pitch of the image for that of the kernel", "row_ky + held.ky_pitch", "held.ky_pitch", "held.y_pitch"),
        ("next chunk of a run one byte early", "next_x_k.eq(x_k + rows)", "x_k + rows", "x_k + rows - 1"),
        ("entry step is always one", "entry.eq(entry + held.entry_step)", "held.entry_step", "1"),
        ("all column tiles go to one entry", "next_entry_n.eq(entry_n + 1)", "entry_n + 1", "entry_n"),
        ("a row below the image counts as inside", "(y < held.height)", "y < held.height", "y <= held.height"),
        ("a row above the image counts as inside", "inside.eq((y >= 0)", "y >= 0", "y >= -1"),
        (
            "mask ends one byte late at the image's right", "held.row_bytes - x",
            "held.row_bytes - x", "held.row_bytes - x + 1",
        ),
        ("mask begins one byte early at the image's left", "before.eq(-x)", "-x", "-x - 1"),
        (
            "mask does not end with the run", "Mux(k_left <= lanes, k_left, lanes)",
            "Mux(k_left <= lanes, k_left, lanes)", "lanes",
        ),
        ("one lane too many is valid", "(low <= lane) & (lane < high)", "lane < high", "lane <= high"),
        ("padding is zero, not the zero point", "self.read_data[lane].as_signed(), zero_point)", "zero_point", "0"),
        ("scratchpad address off by one", "self.read.address.eq(row + x)", "row + x", "row + x + 1"),
        (
            "later passes overwrite what earlier ones summed", "fresh & ~held.accumulate",
            "fresh & ~held.accumulate", "~held.accumulate",
        ),
        ("accumulating tile overwrites", "fresh & ~held.accumulate", "~held.accumulate", "1"),
        ("sums go to the other half", "control.half.eq(~half)", "~half", "half"),
        ("every tile commits its half", "control.commit.eq(last_issue & held.commit)", "held.commit", "1"),
        (
            "positions between sums one too many", "Mux(yields, held.interval - 1, wait - 1)",
            "held.interval - 1", "held.interval",
        ),
        ("weight line stands still", "line.eq(line + 1)", "line + 1", "line"),
        (
            "halves are never waited for", "free_next.eq(free + self.release - (taken & offered.acquire))",
            "taken & offered.acquire", "0",
        ),
        (
            "a pass ends before its weights are there", "(issue & last_pixel)) & (step >= steps - 1)",
            "step >= steps - 1", "1",
        ),
    ),
    *_of(
        "accumulator",
        ("newest sum is not forwarded", "same(1) & ~self.control.overwrite", "same(1) & ~self.control.overwrite", "0"),
        ("newest sum is forwarded to a fresh one", "same(1) & ~self.control.overwrite", "~self.control.overwrite", "1"),
        ("second newest sum is not forwarded", "same(rows) for rows in range(2", "same(rows)", "same(rows) & 0"),
        ("stale sum is added to", "Mux(keep.overwrite, 0,", "keep.overwrite", "0"),
        ("drain sees the other half", "Mux(chosen.half, words[1], words[0])", "chosen.half", "~chosen.half"),
        ("sum of another entry is forwarded", "(earlier.entry == step.entry)", "earlier.entry == step.entry", "1"),
        ("sum is written to the next row's entry", "memory.write.address.eq(add.entry)", "add.entry", "keep.entry"),
    ),
    *_of(
        "pe",
        (
            "weights without sign", "product.eq(activation_register * weight_register)",
            "activation_register * weight_register", "activation_register * weight_register.as_unsigned()",
        ),
        ("product subtracted", "south.eq(psum + product)", "psum + product", "psum - product"),
        ("weight kept from the pass before", "Mux(first, weight, weight_register)", "first", "0"),
    ),
    *_of(
        "array",
        (
            "depthwise mode arrives one row early", "Mux(columns[col][row + col], north[col], west)",
            "columns[col][row + col]", "columns[col][max(row + col - 1, 0)]",
        ),
        (
            "streams down the columns at full speed", "north[col].eq(activation)",
            "activation", "Mux(columns[col][row + col], west, activation)",
        ),
    ),
    *_of(
        "weights",
        ("a word lands in all places of its line", "Cat(strobe[byte] & (word == index)", "word == index", "1"),
        ("weights of the next line", "memory.read.address.eq(read.line)", "read.line", "read.line + 1"),
        (
            "strobes ignored", "write.strobe & write_valid.replicate(word_bytes)",
            "write_valid.replicate(word_bytes)", "~0",
        ),
    ),
    *_of(
        "scratchpad",
        ("access across words reads one word twice", "(word + 1)[1 : len(word)]", "word + 1", "word"),
        ("first byte from the wrong bank", "(offset <= lane) ^ word[0]", "offset <= lane", "offset < lane"),
        (
            "store reads before the array", "Mux(array.enable, array.address, store.payload)",
            "array.enable", "array.enable & ~store.valid",
        ),
        ("store is granted while the array reads", "store.ready.eq(~array.enable)", "~array.enable", "1"),
        (
            "load is taken while the drain writes to its bank", "drained.even & loaded.even | drained.odd & loaded.odd",
            "drained.even & loaded.even", "0",
        ),
        ("writes without valid", "Mux(load.valid, load.payload.strobe, 0)", "load.valid", "1"),
        ("strobes one lane off", "rotated_left(wide, offset, 1)", "offset", "offset + 1"),
    ),
    *_of(
        "requantize",
        ("bias is lost", "self.value + self.parameters.bias", "self.parameters.bias", "0"),
        ("no shift to the left", "Mux(shift < 0, 0, shift)", "Mux(shift < 0, 0, shift)", "0"),
        ("shift to the right one too many", "Mux(shift < 0, -shift, 0)", "-shift", "1 - shift"),
        ("high multiply does not round", "(half << 30 - 16)", "half << 30 - 16", "0"),
        ("ties of negative values go up", "quotient[0], ~negative)", "~negative", "1"),
        ("nearest even rounds to odd", "quotient[0], ~negative)", "quotient[0]", "~quotient[0]"),
        ("bits below the half are forgotten", "up.eq(half_bit & (rest | tie_up))", "rest | tie_up", "tie_up"),
        (
            "discarded bits do not count", "below.eq((lowest | upper[:14].any()) & exact)",
            "lowest | upper[:14].any()", "0",
        ),
        ("no saturation below", "Mux(fits, to_minimum < 0, negative)", "to_minimum < 0", "0"),
        ("saturation above one too late", "Mux(fits, to_maximum >= 0, ~negative)", "to_maximum >= 0", "to_maximum > 0"),
        (
            "large values wrap", "fits.eq(quotient[8:] == negative.replicate(24))",
            "quotient[8:] == negative.replicate(24)", "1",
        ),
        ("zero point is lost", "add_with_carry(quotient[:9], settings.zero_point, up)", "settings.zero_point", "0"),
    ),
    *_of(
        "drain",
        ("pooling takes the smallest", "(compared > window)", "compared > window", "compared < window"),
        ("pooling starts from zero", "Mux(adds, 0, LOWEST)", "Mux(adds, 0, LOWEST)", "0"),
        ("sums of a window are not added", "control.inside & adds):", "control.inside & adds", "0"),
        (
            "pixels outside the image are pooled", "control.inside & control.first):",
            "control.inside & control.first", "control.first",
        ),
        (
            "one channel too many is written", "index < window_end.channels",
            "index < window_end.channels", "index <= window_end.channels",
        ),
        ("drain stays in its half", "half.eq(~half)", "~half", "half"),
        (
            "result table always", "lane.look_up_result.eq(_in_use(config, requantized))",
            "_in_use(config, requantized)", "1",
        ),
        (
            "done before the last byte is written", 'delayed(m, "done_delay", loops.finish, self.done_latency)',
            'delayed(m, "done_delay", loops.finish, self.done_latency)', "loops.finish",
        ),
    ),
    *_of(
        "drain_loops",
        ("carry into the entry is lost", "position.entry + entries + carry", "carry", "0"),
        ("column group counts too far", "carry.eq(total >= radix)", "total >= radix", "total > radix"),
        ("a column right of the image is inside", "(x < held.width)", "x < held.width", "x <= held.width"),
        ("a row above the image is inside", "inside.eq((y >= 0)", "y >= 0", "1"),
        ("row pitch off by one", "row_address + held.row_pitch", "held.row_pitch", "held.row_pitch + 1"),
        ("pixel pitch off by one", "pixel_address + held.pixel_pitch", "held.pixel_pitch", "held.pixel_pitch - 1"),
        ("group address off by one", "address.eq(address + lanes)", "address + lanes", "address + lanes - 1"),
        ("all groups take the first parameters", "line.eq(line + 1)", "line + 1", "line"),
        ("padding channels are written", "Mux(last_group, channels, lanes)", "last_group", "0"),
        ("both operands take the first table", "operand.eq(~last_window_column)", "~last_window_column", "0"),
        ("every instruction releases its half", "self.finish & held.release", "held.release", "1"),
        ("a loop ends one step late", "last.eq(left <= 2 * unit)", "left <= 2 * unit", "left <= unit"),
        ("window rows one entry apart", "held.window_row_step, 0)", "held.window_row_step", "1"),
    ),
    *_of(
        "tables",
        ("table of the other operand", "sums.index[8].eq(self.operand)", "self.operand", "~self.operand"),
        (
            "result table written with the sum tables", "(results, self.write_address >= isa.RESULT_TABLE_OFFSET)",
            "self.write_address >= isa.RESULT_TABLE_OFFSET", "1",
        ),
    ),
    *_of(
        "dma",
        ("memory step off by one", "external + current.step", "current.step", "current.step + 1"),
        ("local step is memory's", "local.eq(local + current.local_step)", "current.local_step", "current.step"),
        ("first byte of a row is cut off", "(offset <= byte)", "offset <= byte", "offset < byte"),
        ("last byte of a row is cut off", "(row.last_byte >= byte)", "row.last_byte >= byte", "row.last_byte > byte"),
        (
            "last word of an unaligned row is not fetched", "(reach + (word - 1)) >> offset_bits",
            "reach + (word - 1)", "reach",
        ),
        (
            "unaligned rows are shifted", "row.local.eq(local - external[:offset_bits])",
            "local - external[:offset_bits]", "local",
        ),
        ("all bytes of a word are written", "sent.payload.strobe.eq(strobes.r_data)", "strobes.r_data", "~0"),
        ("store is done with its first row", "self.done.eq(answered & result.final)", "result.final", "1"),
        ("load is done with its first row", "final.eq(end & arriving.final)", "arriving.final", "1"),
        ("read errors are not told", "moved & self.memory.data.payload.error", "self.memory.data.payload.error", "0"),
        (
            "write errors are not told", "answered & self.memory.response.payload.error",
            "self.memory.response.payload.error", "0",
        ),
    ),
    *_of(
        "axi",
        ("a burst reaches one beat beyond its boundary", "last.eq(left <= room)", "left <= room", "left <= room + 1"),
        (
            "the next burst begins one beat late", "beat[index_bits:] + 1",
            "beat[index_bits:] + 1", "beat[index_bits:] + 2",
        ),
        ("WLAST never comes", "self.m_axi_wlast.eq(last_beat)", "last_beat", "0"),
        ("strobes of the beat before stay", "self.m_axi_wstrb.eq(0)", "0", "self.m_axi_wstrb"),
        (
            "words are taken from the first lane", "Mux(begin, arriving.first_lane, following)",
            "arriving.first_lane", "0",
        ),
        ("WVALID falls before WREADY", "self.m_axi_wvalid & ~self.m_axi_wready)", "~self.m_axi_wready", "0"),
        (
            "requests are taken before what was abandoned is over",
            "self.request.ready.eq((~active | (taken & last)) & ~self.drop)", "~self.drop", "1",
        ),
    ),
    *_of(
        "tokens",
        ("tokens are not waited for", "(count != 0) | given)", "(count != 0) | given", "1"),
        ("tokens are not used up", "count + Mux(taken, -1, 1)", "-1", "0"),
        (
            "tokens go to the wrong unit", "Mux(self.done, flight.r_data[:UNITS], 0)",
            "flight.r_data[:UNITS]", "flight.r_data[:UNITS].rotate_left(1)",
        ),
    ),
    *_of(
        "sequencer",
        ("done before the units", "flushed & self.idle_units & ~self.error", "self.idle_units", "1"),
        (
            "words of an instruction go by each word's own bits",
            "Mux(next_index == 0, arrived.r_data[:4], opcode_held)", "next_index == 0", "1",
        ),
        ("fetches stand still", "fetch_address + isa.INSTRUCTION_BYTES", "isa.INSTRUCTION_BYTES", "0"),
    ),
    *_of(
        "bus",
        ("read data goes to the wrong side", "owners.w_data.eq(choice)", "choice", "turn"),
        (
            "load goes first but its request is fetch's",
            "owners.w_rdy),\n            request.payload.eq(Mux(choice,",
            "choice", "turn",
        ),
    ),
    *_of(
        "core",
        (
            "drain does not wait for sums", "(full != 0) | accumulator.committed",
            "(full != 0) | accumulator.committed", "1",
        ),
        ("a released half stays full", "full + accumulator.committed - release", "release", "0"),
    ),
    *_of(
        "parameters",
        ("records of a line are all written", "write.strobe[byte] & here", "here", "1"),
    ),
)  # fmt: skip
