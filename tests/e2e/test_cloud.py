"""A host in the cloud, as the program prints it: user data and a CloudFormation template, read by YAML's own
reader and run as far as a machine without a cloud can."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import yaml  # type: ignore[import]

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = """# a comment with 'quotes', "more", $(reboot) and: {braces}
[app]
name = "shop"
root = "/srv/shop"
[worker.default]
modules = ["shop.tasks"]
queues = ["default", "mail"]
[site]
names = ["shop.example"]
"""
PACKAGE = "https://packages.example/headrace_0.1.0_amd64.deb"


def program() -> str:
    return os.environ.get("HEADRACE_BIN", str(ROOT / "build" / "release" / "headrace"))


def printed(
    folder: pathlib.Path, what: str, *more: str, package: str = PACKAGE, config: str = CONFIG
) -> str:
    file = folder / "headrace.toml"
    file.write_text(config)
    command = [program(), "host", what, "--config", str(file), "--package", package, *more]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def user_data(text: str) -> dict[str, Any]:
    assert text.startswith("#cloud-config\n")
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def test_user_data_writes_the_configuration_and_applies_it(tmp_path: pathlib.Path) -> None:
    data = user_data(printed(tmp_path, "cloud-init"))
    (file,) = data["write_files"]
    assert file["path"] == "/etc/headrace/headrace.toml"
    assert base64.b64decode(file["content"]).decode() == CONFIG
    (command,) = data["runcmd"]
    assert command[:2] == ["bash", "-ec"]
    steps = command[2].splitlines()
    assert PACKAGE in steps[0] and steps[-1] == "headrace host apply"


def test_the_commands_of_user_data_run_as_they_are_meant(tmp_path: pathlib.Path) -> None:
    """With programs that only write down how they were called."""
    bash = shutil.which("bash")
    assert bash
    for name in ("curl", "aws", "apt-get", "rm", "headrace"):
        (tmp_path / name).write_text(f'#!{bash}\nprintf "%s\\n" "{name} $*" >> {tmp_path}/calls\n')
        (tmp_path / name).chmod(0o755)
    (command,) = user_data(printed(tmp_path, "cloud-init"))["runcmd"]
    subprocess.run([bash, *command[1:]], env={"PATH": str(tmp_path)}, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["curl", "apt-get", "rm", "headrace"]
    assert calls[0].endswith(f"--output /run/headrace.deb {PACKAGE}")


def test_an_application_is_unpacked_and_gets_what_it_needs(tmp_path: pathlib.Path) -> None:
    """By the real tar and Python; the addresses and pip are stubs."""
    root = tmp_path / "srv" / "shop"
    source = tmp_path / "source"
    source.mkdir()
    (source / "tasks.py").write_text("# tasks\n")
    (source / "requirements.txt").write_text("flask\n")
    archive = tmp_path / "shop.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", source, "."], check=True)
    config = CONFIG.replace('root = "/srv/shop"', f'root = "{root}"\npython = "{root}/venv/bin/python"')
    where = ("--application", "https://packages.example/shop.tar.gz")
    text = printed(tmp_path, "cloud-init", *where, config=config)
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    pip = f"{root}/venv/bin/pip"
    venv = f'mkdir -p {root}/venv/bin; printf "#!/bin/sh\\necho pip \\$* >> {tmp_path}/calls\\n" > {pip}'
    for name, does in {
        "curl": f'case "$*" in *tar.gz*) cp {archive} {tmp_path}/run/application.tar.gz;; esac',
        "python3": f"{venv}; chmod 755 {pip}",
        "apt-get": ":",
        "headrace": f"echo headrace $* >> {tmp_path}/calls",
    }.items():
        (stubs / name).write_text(f"#!/bin/bash\n{does}\n")
        (stubs / name).chmod(0o755)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "headrace.deb").touch()
    (command,) = user_data(text.replace("/run/", f"{tmp_path}/run/"))["runcmd"]
    subprocess.run(command, env={"PATH": f"{stubs}:/usr/bin:/bin"}, check=True)
    assert (root / "tasks.py").read_text() == "# tasks\n"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == [f"pip install --requirement {root}/requirements.txt", "headrace host apply"]
    assert not list((tmp_path / "run").iterdir())


def test_a_template_carries_the_same_user_data_and_is_yaml_too(tmp_path: pathlib.Path) -> None:
    text = printed(tmp_path, "cloudformation")
    template = json.loads(text)
    assert yaml.safe_load(text) == template
    launch = template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    assert base64.b64decode(launch["UserData"]).decode() == printed(tmp_path, "cloud-init")
    assert launch["MetadataOptions"]["HttpTokens"] == "required"


def test_a_package_in_a_bucket_is_the_only_thing_that_the_role_may_read(tmp_path: pathlib.Path) -> None:
    template = json.loads(printed(tmp_path, "cloudformation", package="s3://packages/headrace.deb"))
    (policy,) = template["Resources"]["Role"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["s3:GetObject"]
    assert statement["Resource"] == [{"Fn::Sub": "arn:${AWS::Partition}:s3:::packages/headrace.deb"}]


def test_the_load_balancer_asks_for_health_where_nginx_answers(tmp_path: pathlib.Path) -> None:
    resources = json.loads(printed(tmp_path, "cloudformation"))["Resources"]
    for name, port in (("TargetHttp", 80), ("TargetHttps", 443)):
        target = resources[name]["Properties"]
        assert target["Port"] == port
        assert (target["HealthCheckProtocol"], target["HealthCheckPath"]) == ("HTTP", "/_headrace/nginx")
        assert target["Matcher"] == {"HttpCode": "204"}


def test_what_a_shell_would_take_for_more_than_an_address_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "headrace.toml").write_text(CONFIG)
    command = [program(), "host", "cloud-init", "--config", str(tmp_path / "headrace.toml"), "--package"]
    for bad in ("https://x/'; reboot '", "file:///etc/passwd", ""):
        done = subprocess.run([*command, bad], capture_output=True, text=True, check=False)
        assert done.returncode == 2, bad
        assert "--package" in done.stderr
