"""The settings of this installation: ``smartdorf.toml``, overridden by the environment; secrets by file path.

The only module that reads the environment. Every mistake is reported with its line in the file or the name of the
variable, all at once; settings_advice has the words.
"""

from __future__ import annotations

import getpass
import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from smartdorf.config.calendar import Calendar, load_calendar, unknown_land, wrong_date
from smartdorf.config.rule import Mode
from smartdorf.config.settings_advice import MisplacedError, field_at, problem_of, syntax_problem
from smartdorf.errors import Problem, SettingsError
from smartdorf.i18n import gettext as _

Language = Literal["de", "en"]
SEARCHED = (Path("smartdorf.toml"), Path("/etc/smartdorf/smartdorf.toml"))
ENVIRONMENT_PREFIX = "SMARTDORF_"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """Where the data is kept. ``password_file``: the password stands there and not in the DSN."""

    dsn: str = Field(
        pattern=r"^postgres(ql)?://", examples=["postgresql://smartdorf@127.0.0.1:5432/smartdorf"]
    )
    password_file: Path | None = None
    profile: Literal["timescale", "plain"] = "timescale"
    compress_after_days: int = Field(default=14, ge=2)

    @property
    def full_dsn(self) -> str:
        """The DSN with the password from its file."""
        if self.password_file is None:
            return self.dsn
        parts = urlsplit(self.dsn)
        user = parts.username or "smartdorf"
        host = parts.netloc.rpartition("@")[2]
        password = quote(read_secret(self.password_file), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


class MqttSettings(_Section):
    """One connection to a broker; several stand side by side, one per application certificate."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", examples=["chirpstack"])
    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    client_id: str = Field(min_length=1, max_length=64)
    topics: tuple[str, ...] = Field(default=("application/+/device/+/event/+",), min_length=1)
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    session_expiry_days: PositiveFloat = 7
    keep_alive_seconds: int = Field(default=30, ge=5, le=3600)

    @model_validator(mode="after")
    def _belong_together(self) -> MqttSettings:
        if (self.cert_file is None) != (self.key_file is None):
            message = _("cert_file and key_file belong together: give both or none")
            raise MisplacedError(message, "cert_file" if self.cert_file else "key_file")
        if (self.cert_file or self.ca_file) and not self.tls:
            message = _("certificates are given, but tls is off: set tls = true")
            raise MisplacedError(message, "cert_file" if self.cert_file else "ca_file")
        for number, topic in enumerate(self.topics):
            if not _is_topic_filter(topic):
                message = _(
                    '"{topic}" is no topic filter: + and # stand alone between slashes, # only at the end'
                )
                raise MisplacedError(message.format(topic=topic), "topics", number)
        return self


def _is_topic_filter(topic: str) -> bool:
    """What the broker would refuse, and we would hear nothing."""
    *before, last = topic.split("/")
    wild = [level for level in before if ("+" in level or "#" in level) and level != "+"]
    return bool(topic) and not wild and (last in {"+", "#"} or not set(last) & set("+#"))


class WebSettings(_Section):
    """The service's own pages: /healthz, /readyz, /metrics. Port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8086, ge=0, le=65535)
    # what links in messages begin with
    base_url: str | None = Field(
        default=None, pattern=r"^https?://", examples=["https://smartdorf.example.org"]
    )


class RetentionSettings(_Section):
    """How many days raw values are kept, by the class that the vocabulary gives each quantity; aggregates stay."""

    short_days: int = Field(default=60, ge=14)
    standard_days: int = Field(default=400, ge=14)
    long_days: int = Field(default=3660, ge=14)

    @model_validator(mode="after")
    def _in_order(self) -> RetentionSettings:
        if not self.short_days <= self.standard_days <= self.long_days:
            raise MisplacedError(_("expected short_days <= standard_days <= long_days"))
        return self

    @property
    def by_class(self) -> dict[str, timedelta]:
        days = {"short": self.short_days, "standard": self.standard_days, "long": self.long_days}
        return {name: timedelta(days=count) for name, count in days.items()}

    @property
    def late(self) -> timedelta:
        """How old a value may be when it arrives and still take part in the aggregates.

        What is aggregated again must have all its raw values, so it stays a week behind what is deleted.
        """
        return timedelta(days=self.short_days - 7)


class BackupSettings(_Section):
    """Where `smartdorf db backup` writes. ``recipients_file``: age public keys, one a line; then it is encrypted."""

    folder: Path | None = None
    keep: int = Field(default=14, ge=1)
    recipients_file: Path | None = None


class VillageSettings(_Section):
    """Where the village is: whose public and school holidays the rules' schedules mean.

    ``catholic``: also those of Catholic municipalities (Mariä Himmelfahrt in Bavaria, Fronleichnam in parts of Saxony
    and Thuringia).
    """

    land: str | None = None
    catholic: bool = False
    local_holidays: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> VillageSettings:
        if self.land is not None and (message := unknown_land(self.land)):
            raise MisplacedError(message, "land")
        for number, text in enumerate(self.local_holidays):
            if message := wrong_date(text):
                raise MisplacedError(message, "local_holidays", number)
        return self


class ContentSettings(_Section):
    """Folders with the village's own decoders and rules, beside those that ship; later ones win by name."""

    decoders: tuple[Path, ...] = ()
    rules: tuple[Path, ...] = ()
    school_holidays: tuple[Path, ...] = ()  # files, for years that smartdorf does not know


class RulesSettings(_Section):
    """Which rules tell people (``live``) and which are on trial (``shadow``), whatever their files say."""

    live: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> RulesSettings:
        for number, name in enumerate(self.shadow):
            if name in self.live:
                message = _('"{name}" stands in live and in shadow: it can be only one of them')
                raise MisplacedError(message.format(name=name), "shadow", number)
        return self

    @property
    def modes(self) -> dict[str, Mode]:
        """By the rule's name."""
        live: dict[str, Mode] = dict.fromkeys(self.live, "live")
        return {**live, **dict.fromkeys(self.shadow, "shadow")}


class LogSettings(_Section):
    """Structured logs: JSON for machines, text for a terminal."""

    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class LogReceiverSettings(_Section):
    """Tell it to the log: for trying out, and for receivers that have no channel yet."""

    type: Literal["log"]
    language: Language = "de"


class WebhookReceiverSettings(_Section):
    """Tell it to a program: a signed POST of JSON."""

    type: Literal["webhook"]
    url: str = Field(pattern=r"^https?://", examples=["https://leitstelle.example.org/hooks/smartdorf"])
    secret_file: Path
    language: Language = "de"


class MailReceiverSettings(_Section):
    """Tell it by mail, or by anything else that Apprise can do; each line of the file is one Apprise URL."""

    type: Literal["mail"]
    url_file: Path
    language: Language = "de"


ReceiverSettings = Annotated[
    LogReceiverSettings | WebhookReceiverSettings | MailReceiverSettings, Field(discriminator="type")
]


class Settings(_Section):
    """All settings. See deploy/smartdorf.example.toml for a commented file."""

    database: DatabaseSettings
    mqtt: tuple[MqttSettings, ...]
    receivers: dict[str, ReceiverSettings] = Field(default_factory=dict)
    web: WebSettings = WebSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()
    content: ContentSettings = ContentSettings()
    village: VillageSettings = VillageSettings()
    rules: RulesSettings = RulesSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        if not self.mqtt:
            raise MisplacedError(_("at least one [[mqtt]] connection is needed"), "mqtt")
        for what in ("name", "client_id"):
            seen: set[str] = set()
            for number, connection in enumerate(self.mqtt):
                value = getattr(connection, what)
                if value in seen:
                    message = _('two MQTT connections have the {what} "{value}"; each needs its own')
                    raise MisplacedError(message.format(what=what, value=value), "mqtt", number, what)
                seen.add(value)
        return self


def calendar_of(settings: Settings) -> Calendar:
    """The village's holidays; what is wrong with its files stands in the calendar's ``problems``."""
    village = settings.village
    return load_calendar(
        village.land,
        catholic=village.catholic,
        local=village.local_holidays,
        files=settings.content.school_holidays,
    )


def read_secret(path: Path) -> str:
    """A secret's file without its final newline; raises SettingsError with advice."""
    try:
        secret = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = _("it is not UTF-8") if isinstance(error, UnicodeDecodeError) else error.strerror or error
        message = _("secret cannot be read: {error}").format(error=reason) + _how_to_let_read(error)
        raise SettingsError([Problem(str(path), 0, 0, message)]) from error
    if not secret:
        raise SettingsError(
            [Problem(str(path), 0, 0, _("this secret's file is empty: write the secret into it"))]
        )
    return secret


def _how_to_let_read(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return _("; let the user read it as whom smartdorf runs ({user})").format(user=getpass.getuser())
    return ""


def find_settings_file(given: Path | None) -> Path:
    """The file to read: the one given, $SMARTDORF_CONFIG, ./smartdorf.toml or /etc/smartdorf/smartdorf.toml."""
    if given is None and (named := os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")):
        given = Path(named)
    if given is not None:
        return given
    for path in SEARCHED:
        if path.is_file():
            return path
    searched = ", ".join(str(path.absolute()) for path in SEARCHED)
    message = _(
        "no settings found (looked for {searched}); copy deploy/smartdorf.example.toml, name a file with --config, "
        "or try `smartdorf demo`, which needs none"
    )
    raise SettingsError([Problem("smartdorf.toml", 0, 0, message.format(searched=searched))])


def load_settings(given: Path | None = None) -> Settings:
    """Read and validate the settings; raises SettingsError with every mistake and its line."""
    path = find_settings_file(given)
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor on Windows may put a mark in front
        document = tomllib.loads(text)
    except OSError as error:
        reason = _("cannot be read: {error}").format(error=error.strerror)
        raise SettingsError([Problem(str(path), 0, 0, reason + _how_to_let_read(error))]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([Problem(str(path), 0, 0, _("is not UTF-8; save it as UTF-8"))]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([syntax_problem(str(path), text, str(error))]) from error
    variables = _overrides()
    problems = [problem for where, name in variables.items() if (problem := _override(document, where, name))]
    try:
        settings = Settings(**_relative_to(document, path.parent))
    except ValidationError as error:
        problems += [
            problem_of(details, Settings, str(path), text, variables)
            for details in error.errors(include_url=False)
        ]
        raise SettingsError(problems) from error
    if problems:
        raise SettingsError(problems)
    return settings


def _overrides() -> dict[tuple[str | int, ...], str]:
    """The environment's variables by the place that each overrides: SMARTDORF_MQTT__1__HOST is the first host.

    Those without a double underscore are somebody else's: a cluster sets SMARTDORF_PORT for a service of our name.
    """
    found: dict[tuple[str | int, ...], str] = {}
    for name in sorted(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            steps = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            found[tuple(int(step) - 1 if step.isdecimal() else step for step in steps)] = name
    return found


def _override(document: dict[str, Any], path: tuple[str | int, ...], name: str) -> Problem | None:
    """Put a variable's text where it belongs; a list is written with commas. Returns what is wrong with its name."""
    *way, last = path
    inner: Any = document
    for step in way:
        if isinstance(step, int) and isinstance(inner, list) and step == len(inner):
            inner.append({})
        if isinstance(step, int) and isinstance(inner, list) and 0 <= step < len(inner):
            inner = inner[step]
        elif isinstance(step, str) and isinstance(inner, dict):
            inner = inner.setdefault(step, [] if step == "mqtt" else {})
        else:
            return Problem(name, 0, 0, _("there is nothing of that name to override"))
    if not isinstance(inner, dict) or not isinstance(last, str):
        return Problem(name, 0, 0, _("there is nothing of that name to override"))
    field, value = field_at(Settings, path), os.environ[name]
    listed = field is not None and get_origin(field.annotation) is tuple
    inner[last] = [part.strip() for part in value.split(",") if part.strip()] if listed else value
    return None


def _relative_to(value: Any, folder: Path, key: str = "") -> Any:
    """Paths in the file are relative to the file, wherever the service is started."""
    if isinstance(value, dict):
        return {name: _relative_to(inner, folder, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_relative_to(inner, folder, key) for inner in value]
    if isinstance(value, str) and (key.endswith("_file") or key in (*ContentSettings.model_fields, "folder")):
        return str(folder / Path(value).expanduser())
    return value
