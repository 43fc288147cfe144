from tests.sw.command_line import refusal, weft


def test_files_are_listed(tmp_path):
    done = weft("package", "zynq", "-o", "out", "--preset", "tiny", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.split()
    assert listed[:2] == ["out/component.xml", "out/build.tcl"]
    assert all((tmp_path / file).is_file() for file in listed)


def test_what_cannot_be_packaged(tmp_path):
    assert refusal("package", "moon", "-o", "out", folder=tmp_path) == "packages are for zynq, not for 'moon'"
    said = refusal("package", "zynq", "-o", "out", "--set", "axi=false", folder=tmp_path)
    assert said == "IP-XACT is for a configuration with axi = true"
    assert not (tmp_path / "out").exists()
