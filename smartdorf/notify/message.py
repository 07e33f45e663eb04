"""The words of a notification: plain text that reads well on a phone, in German and English.

Pure. The first line says what and where; then what to do; then since when and with which values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from babel.numbers import format_decimal

from smartdorf.db.alerts import Input
from smartdorf.i18n import translations
from smartdorf.local_time import time_text
from smartdorf.notify.receiver import Notification
from smartdorf.vocabulary import load_vocabulary, quantity_text

SUBJECT_LENGTH = 70  # what a phone shows of it, and what no mail server folds


def subject(message: Notification) -> str:
    """At most 70 characters: how urgent, what, where."""
    _ = translations(message.language).gettext
    if message.kind == "listed":
        return _shortened(_would_have_told(message))
    title = f"{message.title} ({message.stage})" if message.stage else message.title
    text = f"{title}: {message.where}" if message.where else title
    if message.after_outage:
        titles = ", ".join(dict.fromkeys(entry.title for entry in message.together))
        text = _("{count} alerts after an outage: {titles}")
        text = text.format(count=len(message.together), titles=titles)
    elif message.together:
        text = f"{len(message.together)} × {text}"
    if message.kind in ("fired", "raised") and message.severity == "critical":
        text = _("Urgent: {text}").format(text=text)
    else:
        text = _in_front(message, text)
    return _shortened(text)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SUBJECT_LENGTH else text[: SUBJECT_LENGTH - 1].rstrip() + "…"


def body(message: Notification) -> str:
    """The message itself, without subject and footer."""
    if message.kind == "listed":
        return _body_of_list(message)
    if message.after_outage:
        return _body_after_outage(message)
    if message.together:
        return _body_of_several(message)
    _ = translations(message.language).gettext
    first = [_first_line(message)]
    if message.kind == "eased":
        first.append(
            _("Somebody has to close it: smartdorf alerts resolve {number} --reason …").format(
                number=message.alert_id
            )
        )
    elif message.kind != "resolved" and message.action:
        first.append(message.action)
    blocks = ["\n".join(first), "\n".join(_facts(message))]
    if message.link:
        blocks.append(message.link)
    return "\n\n".join(blocks)


def _body_of_several(message: Notification) -> str:
    """How many and where; each has a line of its own."""
    language = message.language
    _ = translations(language).gettext
    text = _("{count} × {title}, told together because they came at once").format(
        count=len(message.together), title=message.title
    )
    first = [_in_front(message, text)]
    if message.kind not in ("eased", "resolved") and message.action:
        first.append(message.action)
    lines = [_line(entry, entry.where or entry.title, entry.time) for entry in message.together]
    return "\n".join([*first, "", *lines])


def _line(entry: Notification, what: str, time: datetime) -> str:
    """One of several."""
    _ = translations(entry.language).gettext
    line = f"– {what}: {time_text(time, entry.language)}"
    if entry.summary:
        line += f", {entry.summary}"
    if entry.over_since is not None:
        over = _("Meanwhile over: {time}").format(time=time_text(entry.over_since, entry.language))
        line += f" ({over})"
    return line


def _named(entry: Notification) -> str:
    """``Container full (overfull), Glas Kirchplatz``."""
    title = f"{entry.title} ({entry.stage})" if entry.stage else entry.title
    return f"{title}, {entry.where}" if entry.where else title


def _body_after_outage(message: Notification) -> str:
    """Of whatever rules, the worst first; what to do stands once for each rule."""
    _ = translations(message.language).gettext
    text = _("{count} alerts from the time of an outage still hold; what is over by now is not told.")
    lines, said = [text.format(count=len(message.together)), ""], set()
    for entry in message.together:
        line = _line(entry, _named(entry), entry.time)
        if entry.severity == "critical":
            line = "– " + _("Urgent: {text}").format(text=line.removeprefix("– "))
        lines.append(line)
        if entry.action and (entry.rule, entry.action) not in said:
            lines.append(f"  {entry.action}")
        said.add((entry.rule, entry.action))
    return "\n".join(lines)


def _would_have_told(message: Notification) -> str:
    count = len(message.together) or 1
    text = translations(message.language).ngettext(
        "What the rules on trial would have told: {count} alert",
        "What the rules on trial would have told: {count} alerts",
        count,
    )
    return text.format(count=count)


def _body_of_list(message: Notification) -> str:
    """What nobody has judged yet; each with the command that does."""
    _ = translations(message.language).gettext
    lines = [
        _would_have_told(message),
        _("Nobody was told when they fired. Was it right? Please judge each of them:"),
        "",
    ]
    for entry in message.together or (message,):
        lines.append(_line(entry, _named(entry), entry.since))
        lines.append(f"  smartdorf alerts verdict {entry.alert_id} true|false|drill")
    return "\n".join(lines)


def footer(message: Notification) -> str:
    """What a mail says below the message."""
    _ = translations(message.language).gettext
    return _("Supplementary information, not a certified alarm system. Rule {rule}, alert {number}.").format(
        rule=message.rule, number=", ".join(str(entry.alert_id) for entry in message.together or [message])
    )


def in_language(texts: Mapping[str, str], language: str) -> str:
    """The text in the language; else in German, the language a village writes its own rules in; else in any."""
    return texts.get(language) or texts.get("de") or next(iter(texts.values()), "")


def _first_line(message: Notification) -> str:
    text = message.summary or message.title
    if message.where and message.where.casefold() not in text.casefold():
        text = f"{message.where}: {text}"
    return _in_front(message, text)


def _in_front(message: Notification, text: str) -> str:
    """What has become of an alert that is known already."""
    _ = translations(message.language).gettext
    texts = {
        "raised": _("Higher stage: {text}"),
        "eased": _("Below the threshold: {text}"),
        "returned": _("Again: {text}"),
        "resolved": _("Over: {text}"),
    }
    return texts.get(message.kind, "{text}").format(text=text)


def _facts(message: Notification) -> Iterable[str]:
    language = message.language
    _ = translations(language).gettext
    since, time = time_text(message.since, language), time_text(message.time, language)
    if message.stage and message.kind in ("fired", "raised", "returned"):
        yield _("Stage: {stage}").format(stage=message.stage)
    if message.kind == "resolved":
        yield _("From {since} to {time}").format(since=since, time=time)
    elif message.time - message.since < timedelta(minutes=1):
        yield _("Since {since}").format(since=since)
    else:
        yield _("Since {since}, detected {time}").format(since=since, time=time)
    if message.over_since is not None:
        yield _("Meanwhile over: {time}").format(time=time_text(message.over_since, language))
    elif message.stale:
        yield (
            _("Told late: the data arrived late. It still holds.")
            if message.kind not in ("eased", "resolved")
            else _("Told late: the data arrived late.")
        )
    if message.place:
        yield _("Place: {place}").format(place=message.place)
    if message.device:
        yield _("Sensor: {device}").format(device=message.device)
    if message.gateway:
        yield _("Gateway: {gateway}").format(gateway=message.gateway)
    if message.inputs:
        yield _("Values: {values}").format(values=inputs_text(message.inputs, language))


def inputs_text(inputs: Iterable[Input], language: str) -> str:
    """``Füllstand 83 %, Batteriespannung 3,58 V``."""
    return ", ".join(f"{input_label(entry.name, language)} {value_text(entry, language)}" for entry in inputs)


def input_label(name: str, language: str) -> str:
    """The vocabulary's label; what a rule computed keeps the rule's own words."""
    vocabulary = load_vocabulary()
    return vocabulary[name].label[language] if name in vocabulary else name


def value_text(entry: Input, language: str) -> str:
    """The value as people read it: decimals, unit and the names of codes from the vocabulary."""
    _ = translations(language).gettext
    if entry.value is None:
        return _("unknown")
    vocabulary = load_vocabulary()
    if entry.name not in vocabulary:
        return str(format_decimal(entry.value, format="#,##0.###", locale=language))
    return quantity_text(vocabulary[entry.name], entry.value, language)
