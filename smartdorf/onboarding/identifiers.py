"""DevEUIs as they come out of spreadsheets, e-mails and labels.

What is certain is put right (separators, capitals, 0x, quotes, a Cyrillic А between Latin letters). What could be one
thing or another is refused, with what it probably was: a wrong DevEUI is a sensor that nobody ever hears.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from smartdorf.i18n import gettext as _

DIGITS = 16
OUI_DIGITS = 6  # the vendor's part, IEEE's OUI
# They look the same in print, and cannot be anything else in a hexadecimal number.
_CYRILLIC = str.maketrans("АВСЕасе", "ABCEace")
# They are read wrongly from a label; which digits beside them are right, nobody knows.
_MISREAD = {"o": "0", "i": "1", "l": "1"}
_SCIENTIFIC = re.compile(r"\d([.,]\d+)?e\+\d+|\d[.,]\d+e\d+", re.IGNORECASE)


class WrongIdentifierError(ValueError):
    """It is no DevEUI; says why, and what to do."""


def read_dev_eui(written: str, ouis: Collection[str]) -> str:
    """16 lower-case hex digits, most significant byte first. ``ouis``: first digits of vendors that are known.

    Raises WrongIdentifierError.
    """
    text = unicodedata.normalize("NFKC", written).strip().translate(_CYRILLIC)
    if _SCIENTIFIC.fullmatch(text):
        message = _(
            "{text} is a number that Excel has made of it, digits are lost: format the column as text and enter it anew"
        )
        raise WrongIdentifierError(message.format(text=text))
    digits = re.sub(r"^0x|[\s:.\-_'\"=\u200b]", "", text.lower())
    wrong = sorted(set(digits) - set("0123456789abcdef"))
    if wrong:
        raise WrongIdentifierError(_wrong_letters(written, digits, wrong))
    if len(digits) != DIGITS:
        raise WrongIdentifierError(_wrong_length(digits, ouis))
    if digits in ("0" * DIGITS, "f" * DIGITS):
        raise WrongIdentifierError(_("{digits} stands for no device").format(digits=digits))
    swapped = bytes.fromhex(digits)[::-1].hex()
    if not _is_known(digits, ouis) and _is_known(swapped, ouis):
        message = _("its bytes stand the wrong way round (no vendor begins so): {swapped} is probably meant")
        raise WrongIdentifierError(message.format(swapped=swapped))
    return digits


def _is_known(digits: str, ouis: Collection[str]) -> bool:
    return digits[:OUI_DIGITS] in ouis


def _wrong_letters(written: str, digits: str, wrong: list[str]) -> str:
    likely = "".join(_MISREAD.get(digit, digit) for digit in digits)
    if len(likely) == DIGITS and set(wrong) <= _MISREAD.keys():
        message = _(
            '"{text}" has the letter {letters}, a DevEUI has 0-9 and a-f only: {likely}? Look at the label'
        )
        letters = ", ".join(wrong)
        return message.format(text=written.strip(), letters=letters, likely=likely)
    message = _('"{text}" is no DevEUI: expected 16 hex digits such as 24e124136c012345')
    return message.format(text=written.strip())


def _wrong_length(digits: str, ouis: Collection[str]) -> str:
    message = _("{count} hex digits; a DevEUI has {wanted}").format(count=len(digits), wanted=DIGITS)
    padded = digits.zfill(DIGITS)
    if digits.isdecimal() and len(digits) < DIGITS and _is_known(padded, ouis):
        return message + _(": Excel drops zeros in front, {padded} is probably meant").format(padded=padded)
    if len(digits) == 2 * DIGITS:
        return message + _(": this is rather a key, is it in the wrong column?")
    return message
