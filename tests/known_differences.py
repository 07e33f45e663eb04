"""Where our decoders and published vectors differ, and why: the publishers disagree, or what is published is wrong."""

_WT201 = (
    "a publisher's codec takes the bits from the wrong bytes; the vendor's README reads this record as we do"
)
_CUT = "a frame of seven bytes, which is no frame of this device; the publisher's codec reads zeros behind its end"
_NEVER_SET = (
    "a reading that was kept since nobody heard it, of a device whose clock was never set: nobody knows how old it is. "
    "By the vendor's manual a device only keeps readings once it was told the time. It stays in the uplink's object"
)

# By model and field, or by model and the bytes of a vector that is left out. Where a vector can be compared but for a
# field that is measured, that stands under `published` in the model's *.vectors.yaml instead.
KNOWN_CASES = {
    ("bosch/tps110", "firmwareVersion"): "publishers disagree on the byte order",
    ("bosch/tps110", "resetCause"): "one publisher writes 'Power On Reset', the other 'power on'",
    ("dragino/lds02", "0b880100250001"): _CUT,
    ("dragino/lse01", "ce2900f107a5099b6e2890"): (
        "the flag that tells raw values is set; the publisher's codec is older than the flag and reads water content"
    ),
    ("dragino/lwl01", "0b880100250001"): _CUT,
    ("dragino/lwl02", "0b880100250001"): _CUT,
    (
        "dragino/wsc1-l",
        "0b880100250001",
    ): "the frame of a door sensor, cut; its second byte promises 136 bytes more",
    ("kamstrup/flowiq", "784c16443322e14c164433221191015bef426c058286016d050607018355"): (
        "a volume of the year 2064: what was measured in the future is no measurement"
    ),
    ("laird/rs1xx-ext-temp-rtd", "0302000000022a3d4c6b"): _NEVER_SET,
    ("laird/rs1xx-temp-rh", "0302000000022a3d4c6b"): _NEVER_SET,
    ("milesight/wt201", "history[0].fan_status"): _WT201,
    ("milesight/wt201", "history[0].system_status"): _WT201,
    ("milesight/wt201", "history[0].target_temperature"): _WT201,
    ("milesight/wt201", "history[0].temperature_control_mode"): _WT201,
    ("milesight/wt201", "history[0].temperature_control_status"): _WT201,
    ("pni/placepod", "026781f0"): (
        "an unofficial decoder reads a negative temperature as sign and magnitude; Cayenne LPP has two's complement"
    ),
}

# Of these a publisher tells only the fields that its tests look at, perhaps none that is measured.
PARTLY_PUBLISHED = {"libelium/smart-parking-v2", "pni/placepod"}

# What measures something and is not compared, since the published object says it in no field of its own.
NOT_COMPARED = {
    ("kamstrup/flowiq", "78446d0020f32a7413ec00000044933cec000000"): (
        "a list of values and what they are; only the latest volume has a field"
    ),
}
