"""Where our decoders and published vectors differ, and why: the publishers disagree, or what is published is wrong."""

_WT201 = (
    "a publisher's codec takes the bits from the wrong bytes; the vendor's README reads this record as we do"
)
_CUT = "a frame of seven bytes, which is no frame of this device; the publisher's codec reads zeros behind its end"
_NEVER_SET = "kept by a device whose clock was never set: nobody knows when, so it is no measurement"
_HALF_A_METRE = "the publisher's codec divides a float's mantissa by one too little: half a metre off"

# By model and field, or by model and the bytes of a vector that is left out.
KNOWN_CASES = {
    ("bosch/tps110", "firmwareVersion"): "publishers disagree on the byte order",
    ("bosch/tps110", "resetCause"): "one publisher writes 'Power On Reset', the other 'power on'",
    ("dingtek/df555", "800001011907d001cd03e942ef272042190000000000010081"): _HALF_A_METRE,
    ("dingtek/df702", "800001011907d001cd03e942ef272042190000000000000081"): _HALF_A_METRE,
    ("dingtek/df703", "800001011907d001cd03e942ef272042190000000000010081"): _HALF_A_METRE,
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
    ("fludia/fm432ir", "6f0f0000ffff00010002000300040005000600070008"): (
        "turns of a disc, whose energy only the meter knows; the publisher calls them index, like watt hours elsewhere"
    ),
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
    (
        "sensecap/t1000",
        "01200f0e0105020002d00005000501010107d0276001276001012c0127600e100258ff38030127600e100064000002",
    ): (
        "the publisher tells values by their place in a list, and in this frame it has settings where others measure"
    ),
    ("te-connectivity/69xx", "14221064086309ee00000d09"): (
        "the publisher's codec is one for all its sensors; this frame is of one that measures humidity"
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
