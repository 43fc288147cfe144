from weft.rtl.registers import BY_NAME, REGISTERS, Activity, Unit


def test_names_and_offsets_are_distinct_words():
    assert len(BY_NAME) == len(REGISTERS) == len({register.offset for register in REGISTERS})
    assert all(register.offset % 4 == 0 and register.offset < 1 << 12 for register in REGISTERS)


def test_every_unit_and_activity_but_idle_has_a_counter():
    counters = {f"{unit.name}_{activity.name}" for unit in Unit for activity in Activity if activity}
    assert counters <= set(BY_NAME)
    assert f"LOAD_{Activity.IDLE.name}" not in BY_NAME


def test_every_activity_says_what_it_means():
    assert all(register.text.endswith(".") for register in REGISTERS)
    assert max(Activity) < 16  # four bits per unit in UNITS
