"""`headrace python install`: into fresh environments of every Python on this machine, and its refusals."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import store_process

PROGRAM = store_process.binary()


def interpreters() -> dict[str, pathlib.Path]:
    """By version: the distribution's, and those of pyenv."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": pathlib.Path(sys.executable)}
    for folder in sorted(pathlib.Path.home().glob(".pyenv/versions/*")):
        named = re.fullmatch(r"(\d+\.\d+)\.\d+", folder.name)
        if named and (folder / "bin" / "python").exists():
            found.setdefault(named[1], folder / "bin" / "python")
    return found


FOUND = interpreters()
USABLE = [version for version in FOUND if tuple(map(int, version.split("."))) >= (3, 11)]
OLD = [version for version in FOUND if version not in USABLE]


def install(path: pathlib.Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "python", "install", path],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def make_environment(version: str, folder: pathlib.Path) -> pathlib.Path:
    subprocess.run([FOUND[version], "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    return folder


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> pathlib.Path:
    return make_environment(USABLE[0], tmp_path / "venv")


@pytest.mark.parametrize("version", USABLE)
def test_it_can_be_imported_after(version: str, tmp_path: pathlib.Path) -> None:
    folder = make_environment(version, tmp_path / "venv")
    done = install(folder)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"headrace 0\.1\.0 is installed for .*/venv/bin/python \(Python {version}.*\)\n", done.stdout
    )
    script = "import headrace, sys; print(headrace.__version__, headrace.__file__.startswith(sys.prefix))"
    said = subprocess.run(
        [folder / "bin" / "python", "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "0.1.0 True\n"


@pytest.mark.parametrize("version", OLD)
def test_an_old_python_is_refused_by_name(version: str) -> None:
    done = install(FOUND[version])
    assert done.returncode == 2
    assert f"is Python {version}" in done.stderr and "needs CPython 3.11 or newer" in done.stderr


def test_again_replaces_what_is_there(environment: pathlib.Path) -> None:
    assert install(environment / "bin" / "python").returncode == 0
    (package,) = environment.glob("lib/python*/site-packages/headrace")
    (package / "left_behind.py").write_text("")
    assert install(environment).returncode == 0
    assert not (package / "left_behind.py").exists()
    assert sorted(entry.name for entry in package.parent.iterdir() if "headrace" in entry.name) == [
        "headrace",
        "headrace-0.1.0.dist-info",
    ]


def test_pip_knows_it_and_can_uninstall_it(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "venv"
    subprocess.run([FOUND[USABLE[0]], "-m", "venv", folder], check=True, timeout=300)
    assert install(folder).returncode == 0
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    listed = subprocess.run([*pip, "list"], capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"^headrace +0\.1\.0$", listed.stdout, re.MULTILINE)
    subprocess.run([*pip, "uninstall", "--yes", "headrace"], capture_output=True, check=True, timeout=120)
    assert not list(folder.glob("lib/python*/site-packages/headrace*"))


def test_pip_takes_the_wheel_itself(tmp_path: pathlib.Path) -> None:
    (wheel,) = PROGRAM.parent.glob("headrace-*.whl")
    folder = tmp_path / "venv"
    subprocess.run([FOUND[USABLE[-1]], "-m", "venv", folder], check=True, timeout=300)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", str(wheel)], capture_output=True, check=True, timeout=120)
    subprocess.run([folder / "bin" / "python", "-c", "import headrace"], check=True, timeout=60)


def test_the_distributions_own_python_is_left_alone() -> None:
    if not pathlib.Path("/usr/lib/python3.11/EXTERNALLY-MANAGED").exists():
        pytest.skip("this distribution does not say that it manages its Python")
    done = install("/usr/bin/python3.11")
    assert done.returncode == 2 and "-m venv venv && headrace python install venv" in done.stderr


def test_a_folder_without_python_and_a_program_that_is_none_are_refused(tmp_path: pathlib.Path) -> None:
    assert f"{tmp_path} holds no Python" in install(tmp_path).stderr
    assert "/bin/ls is no Python" in install("/bin/ls").stderr
    missing = install(tmp_path / "python3")
    assert missing.returncode == 2 and "no such program" in missing.stderr


def test_a_missing_or_damaged_wheel_is_refused(environment: pathlib.Path, tmp_path: pathlib.Path) -> None:
    missing = install(environment, HEADRACE_WHEEL=str(tmp_path / "none.whl"))
    assert missing.returncode == 2 and f"is not at {tmp_path}/none.whl" in missing.stderr
    (wheel,) = PROGRAM.parent.glob("headrace-*.whl")
    damaged = tmp_path / wheel.name
    shutil.copy(wheel, damaged)
    script = (
        "import sys, zipfile\n"
        "with zipfile.ZipFile(sys.argv[1]) as old: files = {n: old.read(n) for n in old.namelist()}\n"
        "files['headrace/_json.py'] += b'#'\n"
        "with zipfile.ZipFile(sys.argv[1], 'w') as new: [new.writestr(n, d) for n, d in files.items()]\n"
    )
    subprocess.run([sys.executable, "-c", script, damaged], check=True, timeout=60)
    refused = install(environment, HEADRACE_WHEEL=str(damaged))
    assert refused.returncode == 2 and "is damaged at headrace/_json.py" in refused.stderr


def test_modules_of_the_current_folder_play_no_part(
    environment: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "zipfile.py").write_text("raise SystemExit('not me')")
    done = subprocess.run(
        [PROGRAM, "python", "install", environment], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_new_version_that_cannot_take_its_place_leaves_the_former_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store_process.ROOT / "python" / "headrace" / "_install.py"
    spec = importlib.util.spec_from_file_location("installer", file)
    assert spec and spec.loader
    installer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(installer)
    names = ["headrace/__init__.py", "headrace-1.dist-info/RECORD"]
    installer.replace(tmp_path, {name: b"former" for name in names})
    rename = pathlib.Path.rename

    def refuse_the_last(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if target == tmp_path / "headrace-2.dist-info":
            raise OSError("no")
        return rename(source, target)

    monkeypatch.setattr(pathlib.Path, "rename", refuse_the_last)
    with pytest.raises(OSError, match="no"):
        installer.replace(tmp_path, {name.replace("1", "2"): b"new" for name in names})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["headrace", "headrace-1.dist-info"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"former", b"former"]
