"""The settings of this installation: ``smartdorf.toml``, overridden by the environment; secrets by file path.

The only module that reads the environment and the only one that knows the settings library. Every mistake is
reported with its line in the file, all at once.
"""

from __future__ import annotations

import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from smartdorf.config.toml_source import find_key
from smartdorf.errors import Problem, SettingsError, did_you_mean
from smartdorf.i18n import gettext as _

Language = Literal["de", "en"]
SEARCHED = (Path("smartdorf.toml"), Path("/etc/smartdorf/smartdorf.toml"))
ENVIRONMENT_PREFIX = "SMARTDORF_"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """Where the data is kept. ``password_file``: the password stands there and not in the DSN."""

    dsn: str = Field(pattern=r"^postgres(ql)?://")
    password_file: Path | None = None
    profile: Literal["timescale", "plain"] = "timescale"
    compress_after_days: int = Field(default=14, ge=2)

    @property
    def full_dsn(self) -> str:
        """The DSN with the password from its file."""
        if self.password_file is None:
            return self.dsn
        from urllib.parse import quote, urlsplit, urlunsplit  # noqa: PLC0415 - only where a file is used

        parts = urlsplit(self.dsn)
        user = quote(parts.username or "smartdorf", safe="")
        host = parts.netloc.rpartition("@")[2]
        password = quote(read_secret(self.password_file), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))


class MqttSettings(_Section):
    """One connection to a broker; several stand side by side, one per application certificate."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    host: str
    port: int = Field(default=1883, ge=1, le=65535)
    client_id: str = Field(min_length=1, max_length=64)
    topics: tuple[str, ...] = ("application/+/device/+/event/+",)
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
            raise ValueError(_("cert_file and key_file belong together: give both or none"))
        if (self.cert_file or self.ca_file) and not self.tls:
            raise ValueError(_("certificates are given, but tls is off: set tls = true"))
        return self


class WebSettings(_Section):
    """The service's own pages: /healthz, /readyz, /metrics. Port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8086, ge=0, le=65535)
    base_url: str | None = None  # what links in messages begin with


class RetentionSettings(_Section):
    """How many days raw values are kept, by the class that the vocabulary gives each quantity; aggregates stay."""

    short_days: int = Field(default=60, ge=14)
    standard_days: int = Field(default=400, ge=14)
    long_days: int = Field(default=3660, ge=14)

    @model_validator(mode="after")
    def _in_order(self) -> RetentionSettings:
        if not self.short_days <= self.standard_days <= self.long_days:
            raise ValueError(_("expected short_days <= standard_days <= long_days"))
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


class ContentSettings(_Section):
    """Folders with the village's own decoders and rules, beside those that ship; later ones win by name."""

    decoders: tuple[Path, ...] = ()
    rules: tuple[Path, ...] = ()


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
    url: str = Field(pattern=r"^https?://")
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


class Settings(BaseSettings):
    """All settings. See deploy/smartdorf.example.toml for a commented file."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    database: DatabaseSettings
    mqtt: tuple[MqttSettings, ...]
    receivers: dict[str, ReceiverSettings] = Field(default_factory=dict)
    web: WebSettings = WebSettings()
    retention: RetentionSettings = RetentionSettings()
    content: ContentSettings = ContentSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        if not self.mqtt:
            raise ValueError(_("at least one [[mqtt]] connection is needed"))
        for what in ("name", "client_id"):
            values = [getattr(connection, what) for connection in self.mqtt]
            if twice := {value for value in values if values.count(value) > 1}:
                message = _('two MQTT connections have the {what} "{value}"; each needs its own')
                raise ValueError(message.format(what=what, value=sorted(twice)[0]))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment overrides the file, which comes in as arguments


def read_secret(path: Path) -> str:
    """A secret's file without its final newline; raises SettingsError with advice."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = _("it is not UTF-8") if isinstance(error, UnicodeDecodeError) else error.strerror or error
        message = _("secret cannot be read: {error}").format(error=reason)
        raise SettingsError([Problem(str(path), 0, 0, message)]) from error


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
        raise SettingsError(
            [Problem(str(path), 0, 0, _("cannot be read: {error}").format(error=error.strerror))]
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError([Problem(str(path), 0, 0, _("is not UTF-8; save it as UTF-8"))]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([_syntax_problem(str(path), str(error))]) from error
    try:
        return Settings(**_relative_to(document, path.parent))
    except ValidationError as error:
        problems = [_problem(str(path), text, details) for details in error.errors(include_url=False)]
        raise SettingsError(problems) from error


def _relative_to(value: Any, folder: Path, key: str = "") -> Any:
    """Paths in the file are relative to the file, wherever the service is started."""
    if isinstance(value, dict):
        return {name: _relative_to(inner, folder, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_relative_to(inner, folder, key) for inner in value]
    if isinstance(value, str) and (key.endswith("_file") or key in ContentSettings.model_fields):
        return str(folder / Path(value).expanduser())
    return value


def _syntax_problem(name: str, message: str) -> Problem:
    words, _at, place = message.rpartition(" (at ")
    numbers = [int(word) for word in place.replace(",", " ").replace(")", " ").split() if word.isdigit()]
    line, column = numbers if len(numbers) == 2 else (0, 0)
    return Problem(name, line, column, _("is not valid TOML: {problem}").format(problem=words or message))


def _problem(name: str, text: str, details: ErrorDetails) -> Problem:
    path = list(details["loc"])
    if path[:1] == ["receivers"] and len(path) > 3:
        del path[2]  # the kind of receiver stands in pydantic's path, but not in the file
    line, column = find_key(text, path)
    dotted = ".".join(str(step + 1) if isinstance(step, int) else step for step in path)
    return Problem(
        name, line, column, f"{dotted}: {_advice(details, path)}" if dotted else _advice(details, path)
    )


def _advice(details: ErrorDetails, path: list[str | int]) -> str:
    if details["type"] == "missing":
        return _("is missing")
    if details["type"] == "extra_forbidden":
        known = _fields(path[:-1])
        return _("unknown key") + (
            did_you_mean(str(path[-1]), known) or _("; known are {keys}").format(keys=", ".join(known))
        )
    if details["type"] == "union_tag_invalid":
        kinds = [word.strip("' ") for word in details["ctx"]["expected_tags"].split(",")]
        tag = str(details["ctx"]["tag"])
        listed = _("; known are {keys}").format(keys=", ".join(kinds))
        return _('unknown type "{word}"').format(word=tag) + (did_you_mean(tag, kinds) or listed)
    if details["type"] == "value_error":
        return str(details["ctx"]["error"]) if "ctx" in details else details["msg"]
    return _("{problem} (got {value!r})").format(problem=details["msg"], value=details["input"])


def _fields(path: list[str | int]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "": Settings,
        "database": DatabaseSettings,
        "mqtt": MqttSettings,
        "web": WebSettings,
        "retention": RetentionSettings,
        "content": ContentSettings,
        "log": LogSettings,
    }
    if path and path[0] == "receivers":
        kinds = (LogReceiverSettings, WebhookReceiverSettings, MailReceiverSettings)
        return sorted({field for kind in kinds for field in kind.model_fields})
    return sorted(sections[str(path[0]) if path else ""].model_fields)
