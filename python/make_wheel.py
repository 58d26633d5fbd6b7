"""Packs the package and its compiled module into a wheel (PEP 427). The same input gives the same bytes.

usage: make_wheel.py --wheel FILE --version V --native MODULE.so [--unpack FOLDER] SOURCE...
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import pathlib
import shutil
import zipfile

NATIVE = "headrace/_native.abi3.so"
SUMMARY = "Tasks, objects and web workers on SQS and S3: the Python side of Headrace"


def metadata(version: str) -> str:
    return (
        f"Metadata-Version: 2.1\nName: headrace\nVersion: {version}\nSummary: {SUMMARY}\n"
        "Requires-Python: >=3.11\nClassifier: Typing :: Typed\n"
        "Classifier: Operating System :: POSIX :: Linux\n"
        "Classifier: Programming Language :: Python :: Implementation :: CPython\n"
    )


def tags_of(wheel: pathlib.Path) -> str:
    return "-".join(wheel.stem.split("-")[2:])


def record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def contents(arguments: argparse.Namespace) -> dict[str, bytes]:
    info = f"headrace-{arguments.version}.dist-info"
    files = {f"headrace/{source.name}": source.read_bytes() for source in sorted(arguments.sources)}
    files[NATIVE] = arguments.native.read_bytes()
    files[f"{info}/METADATA"] = metadata(arguments.version).encode()
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: headrace\nRoot-Is-Purelib: false\n"
        f"Tag: {tags_of(arguments.wheel)}\n"
    ).encode()
    record = "".join(record_line(name, data) for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return files


def write_wheel(path: pathlib.Path, files: dict[str, bytes]) -> None:
    """Under another name first, so that a reader never sees half of it."""
    draft = path.with_suffix(".new")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name == NATIVE else 0o644) << 16
            archive.writestr(entry, data)
    os.replace(draft, path)


def unpack(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    """Each file takes its place at once: one that a running process has loaded is never written over."""
    shutil.rmtree(folder / "headrace" / "__pycache__", ignore_errors=True)
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        draft.write_bytes(data)
        os.replace(draft, target)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--native", type=pathlib.Path, required=True)
    parser.add_argument("--unpack", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    files = contents(arguments)
    write_wheel(arguments.wheel, files)
    if arguments.unpack:
        unpack(arguments.unpack, files)


if __name__ == "__main__":
    main()
