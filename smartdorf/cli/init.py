"""smartdorf init: from nothing to settings that `smartdorf check` can look at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from smartdorf import setup
from smartdorf.cli.context import console
from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _

USER = "smartdorf"  # the service's, where there is one


def init(
    folder: Annotated[Path, typer.Option(help="Where settings and secrets go.")] = Path("/etc/smartdorf"),
    compose: Annotated[
        bool,
        typer.Option("--compose", help="For deploy/compose.yaml: also the secrets of the other containers."),
    ] = False,
    mqtt_host: Annotated[
        str | None, typer.Option(help="The broker of ChirpStack; asked for if not given.")
    ] = None,
    mqtt_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Else 1883, with TLS 8883.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The broker speaks TLS.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, take what is usual.")] = False,
) -> None:
    """Write smartdorf.toml and random secrets, and say the next steps. What is there already is kept.

    Example: smartdorf init --folder /etc/smartdorf --mqtt-host 127.0.0.1
    """
    usual = "mosquitto" if compose else "127.0.0.1"
    answers = setup.Answers(mqtt_host or _host(usual, yes=yes), mqtt_port or (8883 if tls else 1883), tls)
    files = setup.container_files(folder, answers) if compose else setup.host_files(folder, answers)
    try:
        made, kept = setup.write(files, None if compose else setup.account(USER))
    except OSError as error:
        message = _("{folder} cannot be written: {error}; run it as root, or choose another --folder")
        raise UsageError(message.format(folder=folder, error=error.strerror)) from error
    for path in made:
        console.print(_("made {path}").format(path=path), markup=False, highlight=False)
    for path in kept:
        console.print(_("kept {path}").format(path=path), markup=False, highlight=False)
    console.print()
    console.print(
        _steps(folder.absolute(), answers, compose=compose), markup=False, highlight=False, soft_wrap=True
    )


def _host(usual: str, *, yes: bool) -> str:
    if yes:
        return usual
    if not sys.stdin.isatty():
        raise UsageError(_("nobody is there to be asked; add --mqtt-host or --yes"))
    return str(typer.prompt(_("On which machine does ChirpStack's MQTT broker run?"), default=usual))


def _steps(folder: Path, answers: setup.Answers, *, compose: bool) -> str:
    secrets = folder / "secrets"
    if compose:
        return _(
            "Next:\n"
            "1. docker compose --profile chirpstack up -d     (without the profile where ChirpStack runs elsewhere)\n"
            "2. docker compose run --rm smartdorf db policies apply\n"
            "3. docker compose run --rm smartdorf check"
        )
    role = (
        f"sudo -u postgres createuser smartdorf; sudo -u postgres createdb --owner smartdorf smartdorf; "
        f'printf "ALTER ROLE smartdorf PASSWORD \'%s\'" "$(cat {secrets / "database"})" | sudo -u postgres psql -q'
    )
    user = (
        "test -e /etc/mosquitto/passwd || install -o mosquitto -m 600 /dev/null /etc/mosquitto/passwd; "
        f'mosquitto_passwd -b /etc/mosquitto/passwd smartdorf "$(cat {secrets / "mqtt"})"'
    )
    if answers.mqtt_host not in ("127.0.0.1", "localhost"):
        user = _("on {host}: add the user smartdorf with the password in {file}").format(
            host=answers.mqtt_host, file=secrets / "mqtt"
        )
    settings = f"--config {folder / 'smartdorf.toml'}" if folder != Path("/etc/smartdorf") else ""
    commands = " && ".join(
        f"smartdorf {name} {settings}".strip() for name in ("db migrate", "db policies apply", "check")
    )
    return _("Next, as root:\n1. {role}\n2. {user}\n3. {commands}").format(
        role=role, user=user, commands=commands
    )
